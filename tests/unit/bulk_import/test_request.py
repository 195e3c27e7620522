"""What a message of the import queue says."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.bulk_import.request import partition_of, read_message, results_queue, write_message
from shared.errors import InvalidRequest
from tests.unit.bulk_import.inbox import event

CONTAINER = "import-container"


@pytest.mark.spec("IMP-3", "IMP-4")
@pytest.mark.parametrize("host", ["https://a.blob.core.windows.net", "http://127.0.0.1:10000/devstoreaccount1"])
@pytest.mark.parametrize("kind", ["eventType", "type"])
def test_an_event_names_its_file_in_either_schema(host, kind):
    message = {
        kind: "Microsoft.Storage.BlobCreated",
        "subject": f"/blobServices/default/containers/{CONTAINER}/blobs/a b/ü#1.dcm",
        "data": {"url": f"{host}/{CONTAINER}/a%20b/%C3%BC%231.dcm"},
    }
    assert read_message(json.dumps(message), CONTAINER).names == ("a b/ü#1.dcm",)
    assert read_message(json.dumps([message]), CONTAINER).names == ("a b/ü#1.dcm",)


@pytest.mark.spec("IMP-3")
def test_where_address_and_subject_disagree_both_names_are_candidates():
    assert read_message(event("100%25.dcm"), CONTAINER).names == ("100%.dcm", "100%25.dcm")


@settings(max_examples=60)
@given(st.text(min_size=1), st.integers(1, 9))
def test_our_own_messages_come_back(name, attempt):
    wanted = read_message(write_message(name, attempt), CONTAINER)
    assert (wanted.names, wanted.attempt) == ((name,), attempt)


@settings(max_examples=60)
@given(st.text() | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
def test_no_message_is_an_exception(text):
    assert read_message(text, CONTAINER) is None


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(["eventType", "type", "subject", "data", "blobName", "attempt"]),
        st.none()
        | st.integers()
        | st.just("Microsoft.Storage.BlobCreated")
        | st.dictionaries(st.just("url"), st.text()),
    )
)
def test_no_object_is_an_exception(content):
    read_message(json.dumps(content), CONTAINER)


@pytest.mark.spec("IMP-12")
@pytest.mark.parametrize(
    ("name", "partition"),
    [("a.dcm", "Microsoft.Default"), ("clinic/a.dcm", "clinic"), ("c-1.x_2/b/a.dcm", "c-1.x_2")],
)
def test_the_first_folder_is_the_partition(name, partition):
    assert partition_of(name, data_partitions=True) == partition
    assert partition_of(name, data_partitions=False) == "Microsoft.Default"


@pytest.mark.spec("IMP-12")
@pytest.mark.parametrize("name", ["/a.dcm", "a b/c.dcm", f"{'x' * 65}/a.dcm"])
def test_a_folder_that_can_be_no_partition_is_refused(name):
    with pytest.raises(InvalidRequest):
        partition_of(name, data_partitions=True)


@pytest.mark.parametrize("queue", ["", "error-queue", "import-results-", "import-results-A", "import-results-a/b"])
def test_results_go_to_no_other_queue_than_one_made_for_them(queue):
    assert results_queue({"results": queue}) is None
    assert results_queue({"results": "import-results-0a1b-2"}) == "import-results-0a1b-2"
