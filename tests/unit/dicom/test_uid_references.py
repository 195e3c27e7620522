"""UIDs that are replaced by others of the same length, wherever they stand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dicom.dictionary import data_elements
from shared.dicom.identifiers import is_uid
from shared.dicom.uid_references import OTHER, Substitution, named_objects, substitute

KEY = b"k" * 32
UIDS = st.from_regex(r"[1-2](\.(0|[1-9][0-9]{0,12})){2,4}", fullmatch=True)


@given(UIDS)
@pytest.mark.spec("SHR-2")
def test_a_substitute_is_a_uid_of_the_same_length(uid):
    found = substitute(uid, KEY)

    assert len(found) == len(uid)
    assert is_uid(found)
    assert found == substitute(uid, KEY)


@pytest.mark.spec("SHR-2")
def test_substitutes_differ_by_share_and_by_uid():
    uid, other = "1.2.826.0.1.3680043.8.498.1", "1.2.826.0.1.3680043.8.498.2"

    assert len({substitute(uid, KEY), substitute(other, KEY), substitute(uid, b"x" * 32)}) == 3


@pytest.mark.spec("SHR-2")
@pytest.mark.parametrize(
    ("before", "behind"),
    [
        (b"UI\x0c\x00", b"\x08\x00"),
        (b"\x0c\x00\x00\x00", b"\x30\x00"),
        (b"UI\x00\x30", b"\x00\x30"),
        (b"\\", b"\\"),
        (b'"', b'"'),
        (b"", b""),
    ],
)
def test_a_uid_is_replaced_between_whatever_stands_beside_it(before, behind):
    uid = b"1.2.3.4.5.67"
    substitution = Substitution([uid.decode()], KEY)

    found = substitution.whole(before + uid + behind)

    assert found == before + substitute(uid.decode(), KEY).encode() + behind


@pytest.mark.spec("SHR-2")
@pytest.mark.parametrize("other", [b"1.2.3.4.5.678", b"221.2.3.4.5.6", b"1.2.3.4.5.6.7", b"1.2.3.4.5"])
def test_a_longer_uid_is_another_one(other):
    substitution = Substitution(["1.2.3.4.5.6"], KEY)
    data = b'"' + other + b'"'

    assert substitution.whole(data) == data


@given(st.lists(st.sampled_from([b"1.2.3.4.5.67", b"abc", b"9.9.9", b"\0", b"7"]), max_size=8), st.integers(1, 9))
@pytest.mark.spec("SHR-2")
async def test_a_stream_is_changed_as_the_whole_is_however_it_is_cut(pieces, size):
    data = b" ".join(pieces)
    substitution = Substitution(["1.2.3.4.5.67"], KEY)

    async def chunks():
        for at in range(0, len(data), size):
            yield data[at : at + size]

    assert b"".join([each async for each in substitution.stream(chunks())]) == substitution.whole(data)


@pytest.mark.spec("SHR-2")
def test_objects_are_named_by_every_uid_but_those_of_classes_encodings_and_the_like():
    document = (
        b'{"00080016":{"vr":"UI","Value":["1.2.3.4"]},"0020000D":{"vr":"UI","Value":["1.2.3.5"]},'
        b'"00081140":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2.3.6","1.2.3.7 "]},'
        b'"00081150":{"vr":"UI","Value":["1.2.840.10008.5.1.4.1.1.2"]}}]},"00091001":{"vr":"UI","Value":["1.2.3.8"]},'
        b'"00200052":{"vr":"UI","Value":["1.2.3.9"]},"00204000":{"vr":"LT","Value":["1.2.3.10"]},"00081195":{"vr":"UI"}}'
    )

    assert named_objects(document) == {"1.2.3.5", "1.2.3.6", "1.2.3.7", "1.2.3.8"}


def test_the_attributes_that_name_no_objects_are_of_the_dictionary():
    of_uids = {f"{tag:08X}" for tag, (_, vr, *_) in data_elements().items() if vr == "UI"}

    assert of_uids >= OTHER
    assert not {"0020000D", "0020000E", "00080018", "00081155", "00080058", "0040A124"} & OTHER
