"""Names of blobs and ids of uploads (storage §4)."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dicom.identifiers import InstanceIdentifier
from shared.index_schema import blob_names

UID = st.text("0123456789.", min_size=1, max_size=64)


@given(UID, UID, UID, st.integers(0, 2**48 - 1))
@settings(max_examples=100)
def test_a_blob_name_tells_what_it_was_made_of(study: str, series: str, instance: str, now: int) -> None:
    identifier = InstanceIdentifier(study, series, instance)
    upload_id = blob_names.new_upload_id(now)
    name = blob_names.blob_name("abc234def567", identifier, upload_id)
    assert blob_names.parse_blob_name(name) == blob_names.BlobName("abc234def567", identifier, upload_id)
    assert name.startswith(blob_names.blob_prefix("abc234def567", study))
    assert blob_names.upload_id_of(name) == upload_id
    assert blob_names.parse_blob_name(blob_names.metadata_blob(name)) is None


@pytest.mark.parametrize(
    "name",
    [
        "photo.dcm",
        "254/0/1.2.3/1.2/1.3/short.dcm",
        "fff/0/1.2.3/1.2/1.3/01MCC5RJS5BRGJDSMYE1AZ5JWR.dcm",
        "254/0/1.2.3/1.2/1.3/01MCC5RJS5BRGJDSMYE1AZ5JWR.json",
    ],
)
def test_a_name_that_is_not_ours_is_recognised(name: str) -> None:
    assert blob_names.parse_blob_name(name) is None


def test_later_uploads_have_greater_ids() -> None:
    ids = [blob_names.new_upload_id(now) for now in (0, 1, 1_800_000_000_000, 1_800_000_000_001, 2**48 - 1)]
    assert ids == sorted(ids)
    assert all(
        len(upload_id) == 26 and set(upload_id) <= set(string.digits + string.ascii_uppercase) for upload_id in ids
    )


def test_the_id_of_a_dropped_file_is_the_same_whenever_it_is_asked_for() -> None:
    first = blob_names.dropped_upload_id("in/a.dcm", 1_800_000_000_000)
    assert first == blob_names.dropped_upload_id("in/a.dcm", 1_800_000_000_000)
    assert first != blob_names.dropped_upload_id("in/b.dcm", 1_800_000_000_000)
    assert first < blob_names.new_upload_id(1_800_000_000_001)
