"""`python -m scripts.inspect_tables`: the tables of a store, what they hold, what is left of a rebuild.

The settings are those of the app, from the environment. It writes nothing, and asks nothing but Table Storage. Keys and
values of rows hold patient data: they are shown only where that is asked for.
"""

import argparse
import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

from shared.administration.tables import TableAdministration
from shared.errors import DependencyRefused, Misconfigured, Unavailable
from shared.index_schema import keys
from shared.ingest.rebuild import REBUILD_ROW
from shared.registry.store_settings import STORE_ROW
from shared.settings import Settings
from shared.storage.connection import quiet_sdk_logs
from shared.storage.identity import Identity
from shared.wiring.stores import Stores, stores


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.inspect_tables", description="Shows what the tables of the store hold; changes nothing."
    )
    add = parser.add_argument
    add("--rows", action="store_true", help="count the rows of each table, by kind: reads the keys of all of them")
    add("--study", default="", help="the rows of this StudyInstanceUID")
    add("--namespace", default=keys.DEFAULT_NAMESPACE, help="of the data partition of the study, as blob names have it")
    add("--values", action="store_true", help="with --study: what the rows hold, which is patient data")
    found = parser.parse_args(arguments)
    if found.values and not found.study:
        parser.error("--values goes with --study.")
    return found


async def _overview(administration: TableAdministration, base: Stores, *, rows: bool) -> int:
    """Each table, the store's own rows; how many of the app's tables are missing."""
    own = base.tables.tables()
    there = set(await administration.names())
    for name in own:
        if name not in there:
            print(f"{name:24} is missing")
        elif rows:
            kinds = Counter([_kind(row) async for row in administration.rows(name, keys_only=True)])
            told = ", ".join(f"{number:,} {kind}" for kind, number in sorted(kinds.items()))
            print(f"{name:24} {sum(kinds.values()):,} rows{f': {told}' if told else ''}")
        else:
            print(f"{name:24} is there")
    if others := sorted(there - set(own)):
        print(f"Others in the account: {', '.join(others)}")
    if "conf" in there:
        await _configuration(administration)
    return len([name for name in own if name not in there])


async def _configuration(administration: TableAdministration) -> None:
    for (partition_key, row_key), what in ((STORE_ROW, _store), (REBUILD_ROW, _rebuild)):
        async for row in administration.rows("conf", partition_key):
            if row["RowKey"] == row_key:
                print(what(row))


def _store(row: Mapping[str, Any]) -> str:
    return f"Store {row.get('id')}, format {row.get('format')}, {row['shards']} shards, spread {row['spread']}."


def _rebuild(row: Mapping[str, Any]) -> str:
    return "A rebuild has not come to its end." if row.get("running") else "No rebuild is under way."


def _kind(row: Mapping[str, Any]) -> str:
    """The first part of a key, which says what a row is: `I!`, `pn!`; others by their partition."""
    head, mark, _ = str(row["RowKey"]).partition("!")
    return head if mark and len(head) <= 3 and head.isascii() and head.isalpha() else "others"


async def _study(administration: TableAdministration, base: Stores, arguments: argparse.Namespace, shards: int) -> int:
    """The rows of a study; 1 if there are none."""
    place = keys.study_place(arguments.namespace, arguments.study, shards)
    found = 0
    async for row in administration.rows(base.tables.table("dicom", place.partition_key), place.partition_key):
        found += 1
        if arguments.values:
            print(json.dumps({name: _shown(value) for name, value in row.items()}, ensure_ascii=False))
        else:
            print(
                f"{row['RowKey']}  {len(row)} properties, {sum(len(str(value)) for value in row.values()):,} characters"
            )
    print(f"{found} rows.")
    return 0 if found else 1


def _shown(value: Any) -> Any:
    return f"{len(value)} bytes" if isinstance(value, bytes) else value if isinstance(value, int | bool) else str(value)


async def _run(arguments: argparse.Namespace, settings: Settings) -> int:
    identity = Identity(settings.identity_client_id)
    base = stores(settings, identity)
    try:
        async with TableAdministration(base.connection) as administration:
            if arguments.study:
                return await _study(administration, base, arguments, settings.index_shards)
            return 1 if await _overview(administration, base, rows=arguments.rows) else 0
    finally:
        await base.close()
        await identity.close()


def main(arguments: list[str] | None = None) -> int:
    """Run the program; the answer is the exit code: 0 it was shown, 1 something is missing, 2 it cannot be done."""
    parsed = _arguments(arguments)
    quiet_sdk_logs()
    try:
        return asyncio.run(_run(parsed, Settings.from_environment(os.environ)))
    except (Misconfigured, Unavailable, DependencyRefused) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
