"""Tables are created and looked into by azure-data-tables, and what fails is told as the service tells it."""

import asyncio
import re
from dataclasses import replace

import orjson
import pytest

from scripts.inspect_tables.__main__ import main
from shared.administration.tables import TableAdministration
from shared.errors import DependencyRefused, Unavailable
from shared.index_schema import keys
from shared.storage.azure_tables import AzureTableStore
from shared.storage.connection import SharedKey, StorageConnection
from shared.storage.ports import RowWrite
from shared.wiring.stores import create_tables
from tests.integration.storage.test_lost_answers import PK, answer, failure, refusal, scripted


@pytest.fixture
async def store(connection: StorageConnection, prefix: str):
    made = AzureTableStore(connection.table_endpoint, connection.credential, prefix=prefix, kinds=("dicom", "conf"))
    yield made
    await made.close()


async def test_missing_tables_are_created_once_and_keep_their_rows(connection, store, prefix) -> None:
    assert await store.missing() == [f"{prefix}conf", f"{prefix}dicom"]
    await create_tables(store, connection)
    assert await store.missing() == []
    await store.commit("dicom", [RowWrite("insert", "p'q", "a", {"x": 1}), RowWrite("insert", "p'q", "b", {"x": 2})])
    await store.commit("dicom", [RowWrite("insert", "r", "a", {"x": 3})])

    async with TableAdministration(connection) as administration:
        await administration.create([f"{prefix}dicom"])
        assert {f"{prefix}conf", f"{prefix}dicom"} <= set(await administration.names())
        assert [row["x"] async for row in administration.rows(f"{prefix}dicom", "p'q")] == [1, 2]
        keys = [row async for row in administration.rows(f"{prefix}dicom", keys_only=True)]
        assert [(row["PartitionKey"], row["RowKey"]) for row in keys] == [("p'q", "a"), ("p'q", "b"), ("r", "a")]
        assert all("x" not in row for row in keys)
        assert [row async for row in administration.rows(f"{prefix}gone")] == []


@pytest.mark.filterwarnings("ignore:Testing an element's truth value:DeprecationWarning")  # of the client, once
async def test_an_account_that_refuses_or_does_not_answer_is_told_without_what_was_asked(connection, prefix) -> None:
    refused = replace(connection, credential=SharedKey("devstoreaccount1", "a2V5"))
    nowhere = replace(connection, table_endpoint="http://127.0.0.1:9/devstoreaccount1")
    async with TableAdministration(refused) as administration:
        assert isinstance(await failure(administration.create([f"{prefix}dicom"])), DependencyRefused)
    async with TableAdministration(nowhere, retries=0) as administration:
        assert isinstance(await failure(administration.names()), Unavailable)


async def test_a_table_that_is_being_deleted_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.administration.tables._CREATE_PAUSE", 0.001)
    deleting, made = refusal(409, "TableBeingDeleted"), answer(201, '{"TableName":"conf"}')
    existing = answer(200, orjson.dumps({"value": [{"TableName": "dicom"}]}).decode())
    async with scripted(existing, deleting, deleting, made) as (store, script):
        store._kinds = ("dicom", "conf")
        endpoint = store._endpoint
        await create_tables(store, StorageConnection(endpoint, endpoint, endpoint, SharedKey("account", "a2V5")))
        assert [method for method, _ in script.asked] == ["GET", "POST", "POST", "POST"]


async def test_the_inspection_shows_what_is_there_and_values_only_where_they_are_asked_for(
    azurite, connection, monkeypatch, capsys
) -> None:
    for name, value in {"AUTHENTICATION_MODE": "off", "TABLE_SPREAD": "1", "INDEX_SHARDS": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DicomStorage", azurite.connection_string)

    async def inspected(*options: str) -> str:
        assert await asyncio.to_thread(main, list(options)) == 0
        return str(capsys.readouterr().out)

    tables = AzureTableStore(connection.table_endpoint, connection.credential)
    await create_tables(tables, connection)
    try:
        place = keys.study_place(keys.DEFAULT_NAMESPACE, "1.2.3.4.5.6.7", 1)
        await tables.commit("dicom", [RowWrite("upsert", place.partition_key, "I!1!1", {"name": PK})])
    finally:
        await tables.close()

    overview, study, values = [
        await inspected(*options)
        for options in (("--rows",), ("--study", "1.2.3.4.5.6.7"), ("--study", "1.2.3.4.5.6.7", "--values"))
    ]
    assert re.search(r"^dicom +1 rows: 1 I$", overview, re.MULTILINE), overview
    assert "1 rows." in study
    assert PK not in overview + study
    assert PK in values
    tables = AzureTableStore(connection.table_endpoint, connection.credential)
    await tables.commit("dicom", [RowWrite("delete", place.partition_key, "I!1!1")])
    await tables.close()
