import math

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.storage import table_entities
from shared.storage.ports import Entity, RowWrite
from shared.storage.table_entities import batch_failure, batch_request, check, decode, encode, range_query, row_path

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
keys = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\#?"), max_size=40)
values = st.one_of(
    texts, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.binary(max_size=40)
)
names = st.from_regex(r"[a-z_][a-z0-9_]{0,20}", fullmatch=True)
properties = st.dictionaries(names, values, max_size=6)


@settings(max_examples=150)
@given(keys, keys, properties)
def test_what_is_encoded_is_decoded_again(
    partition_key: str, row_key: str, given_properties: dict[str, str | float | bytes]
) -> None:
    document = orjson.loads(encode(RowWrite("insert", partition_key, row_key, given_properties)))
    document |= {"odata.etag": 'W/"1"', "odata.metadata": "m", "Timestamp": "t", "Timestamp@odata.type": "Edm.DateTime"}
    assert decode(document) == Entity(partition_key, row_key, given_properties, 'W/"1"')


def test_not_a_number_is_encoded_as_the_service_wants_it() -> None:
    assert orjson.loads(encode(RowWrite("insert", "p", "r", {"x": math.nan})))["x"] == "NaN"


def test_a_row_of_another_client_is_decoded_as_far_as_its_types_go() -> None:
    document = {
        "PartitionKey": "p",
        "RowKey": "r",
        "count": 5,
        "when@odata.type": "Edm.DateTime",
        "when": "2020-01-01T00:00:00Z",
        "id@odata.type": "Edm.Guid",
        "id": "0",
        "none": None,
        "gone@odata.type": "Edm.Int64",
        "gone": None,
    }
    assert decode(document) == Entity("p", "r", {"count": 5, "when": "2020-01-01T00:00:00Z", "id": "0"}, "")


def test_keys_are_quoted_for_odata_and_encoded_for_the_url() -> None:
    assert row_path("conf", "a'b", "c d%é+&") == "conf(PartitionKey='a%27%27b',RowKey='c%20d%25%C3%A9%2B%26')"


def test_a_range_asks_for_one_partition_between_two_bounds() -> None:
    assert range_query("a'b", "", "z", None, None) == (
        "$filter=PartitionKey%20eq%20%27a%27%27b%27%20and%20RowKey%20lt%20%27z%27"
    )
    assert range_query("p", "a", "z", 5, ["x", "y"]).endswith(
        "%20and%20RowKey%20ge%20%27a%27%20and%20RowKey%20lt%20%27z%27&$select=PartitionKey,RowKey,x,y&$top=5"
    )


LONG_ENDPOINT = f"https://{'a' * 24}.table.core.windows.net"
ETAG = "W/\"datetime'2026-11-21T11%3A16%3A23.4814693Z'\""


@settings(max_examples=60)
@given(st.data())
def test_no_transaction_that_passes_the_check_is_larger_than_the_service_takes(data: st.DataObject) -> None:
    character = data.draw(st.sampled_from(["x", '"', "\x01", "é", "中", "𝄞", "%"]))
    count = data.draw(st.integers(1, 100))
    units = data.draw(st.sampled_from([1, 2000, 8000, 16000]))
    binary = data.draw(st.integers(0, 3))
    key = ("k" if character in "\x01%" else character) * data.draw(st.sampled_from([1, 100, 200]))
    operations = [
        RowWrite(
            "merge",
            key,
            f"{key}{number}",
            {"t": character * units} | {f"b{n}": bytes(64 * 1024) for n in range(binary)},
            ETAG,
        )
        for number in range(count)
    ]
    body = batch_request(LONG_ENDPOINT, "dicom063", operations, "0" * 32)[1]
    try:
        check(operations)
    except ValueError:
        assert len(body) > table_entities.MAX_BATCH_BYTES * 0.97
    else:
        assert len(body) <= table_entities.MAX_BATCH_BYTES


def test_a_batch_says_whether_it_was_applied() -> None:
    applied = b"--b\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n\r\nHTTP/1.1 201 Created\r\n\r\n--b--"
    refused = b'--b\r\n\r\nHTTP/1.1 412 Precondition Failed\r\n\r\n{"odata.error":{"code":"X"}}\r\n--b--'
    assert batch_failure(applied) is None
    assert batch_failure(refused) == (412, b'{"odata.error":{"code":"X"}}')
    assert batch_failure(applied[:-5] + refused) == (412, b'{"odata.error":{"code":"X"}}')
    with pytest.raises(ValueError):
        batch_failure(b"--b--")


@settings(max_examples=100)
@given(st.binary(max_size=60).filter(lambda body: b"HTTP/1.1 " not in body))
def test_an_answer_that_is_no_batch_is_never_taken_for_success(body: bytes) -> None:
    with pytest.raises(ValueError):
        batch_failure(body)
