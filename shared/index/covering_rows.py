"""The study lists: rows that hold all that a search says of a study, in several orders (storage §6.6).

The lists of a data partition are one partition, so that all rows of a study change in one transaction. They say what a
study is while it rests: whoever is about to drop its hint writes them before (storage invariant 11). A study that has a
hint is read from its own rows instead.

`h!{digest}` is the head of a study: it names the study's rows in the lists, and is replaced only as it was read before
the study was, so that nobody puts an older state over a later one, however slow. It stays when the study is deleted,
for the same reason.
"""

import zlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from hashlib import sha1

import orjson

from shared.dicom.identifiers import InstanceIdentifier
from shared.index.lookup import view_of
from shared.index.model import SeriesView, StudyView
from shared.index.study_rows import StudyRows
from shared.index_schema import study_lists
from shared.index_schema.keys import StudyPlace
from shared.storage.optimistic import best_effort_commit
from shared.storage.ports import Entity, RowWrite, TableStore, Value

_PLAIN_BYTES = 1024
"""A longer view is deflated: that costs more time than it saves on a short one."""
_MOST_BYTES = 4096
"""A study with a longer view is read: a page of a thousand rows stays within 4 MiB."""
_NONE = b""
_DEFLATED = b"\x78"
"""How zlib begins; JSON begins with a bracket."""


class CoveringRows:
    """Writes the rows of studies in the study lists. `kept`: whether the store has these lists."""

    def __init__(self, tables: TableStore, kept: Callable[[], Awaitable[bool]]) -> None:
        self._tables = tables
        self.kept = kept

    async def head(self, place: StudyPlace) -> Entity | None:
        """The head of a study. To be read before the study is."""
        return await self._tables.get("idx", study_lists.partition_key(place.namespace), _head(place))

    async def write(self, place: StudyPlace, rows: StudyRows, head: Entity | None) -> bool:
        """Let the lists say what these rows say. False if they are not at rest, or not known to be written.

        `head`: as it was read before the rows; None for one that is not there.
        """
        # rule: a study that is changing is not at rest
        if rows.pending or not rows.whole:
            return False
        view = view_of(place, rows, rows.tally())
        version = int(rows.summary.properties["ver"]) if rows.summary else 0
        sort_key = rows.sort_key
        if view and head and (head.properties["ver"], head.properties["sk"]) == (version, sort_key):
            return True
        partition_key = study_lists.partition_key(place.namespace)
        now = study_lists.row_keys(sort_key, view.attributes) if view else []
        before = str(head.properties["keys"]).split() if head else []
        properties: dict[str, Value] = {"keys": " ".join(now), "ver": version, "sk": sort_key}
        if head is None:
            operations = [RowWrite("insert", partition_key, _head(place), properties)]
        else:
            # rule: the head of a study is replaced only as it was read
            operations = [RowWrite("replace", partition_key, _head(place), properties, head.etag)]
        operations += [RowWrite("delete", partition_key, row_key) for row_key in before if row_key not in now]
        listed: dict[str, Value] = {"study": place.study_instance_uid, "view": packed(view) if view else _NONE}
        operations += [RowWrite("upsert", partition_key, row_key, listed) for row_key in now]
        return await best_effort_commit(self._tables, "idx", operations)


def _head(place: StudyPlace) -> str:
    """A digest, since it outlives its study."""
    return study_lists.head_key(sha1(place.study_instance_uid.encode(), usedforsecurity=False).hexdigest())


def packed(view: StudyView) -> bytes:
    """The view as the rows of a list hold it; empty if it is too long."""
    series = [
        (
            each.series_instance_uid,
            each.instances,
            each.attributes,
            each.newest.sop_instance_uid,
            each.sort_key,
            each.schema,
        )
        for each in view.series.values()
    ]
    newest = (view.newest.series_instance_uid, view.newest.sop_instance_uid)
    expires = round(view.expires.timestamp() * 1000) if view.expires else None
    document = orjson.dumps((view.instances, view.attributes, newest, expires, view.schema, view.sort_key, series))
    if len(document) > _PLAIN_BYTES:
        document = zlib.compress(document)
    return document if len(document) <= _MOST_BYTES else _NONE


def unpacked(study: str, document: bytes) -> StudyView | None:
    """The view in a row of a list; None if it has none."""
    if not document:
        return None
    if document.startswith(_DEFLATED):
        document = zlib.decompress(document)
    instances, attributes, newest, expires, schema, sort_key, series = orjson.loads(document)
    return StudyView(
        study,
        instances,
        attributes,
        {
            uid: SeriesView(uid, count, values, InstanceIdentifier(study, uid, sop), series_key, number)
            for uid, count, values, sop, series_key, number in series
        },
        InstanceIdentifier(study, *newest),
        sort_key,
        None if expires is None else datetime.fromtimestamp(expires / 1000, UTC),
        schema,
    )
