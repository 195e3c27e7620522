"""What must hold of the stored rows: at every moment, when a store is acknowledged, and when all work is done."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import orjson

from shared.index import study_rows
from shared.index.covering_rows import packed
from shared.index.instance_rows import original_blob_in
from shared.index.lookup import view_of
from shared.index.summary import LASTING, NEWEST, Summary
from shared.index_schema import keys, study_lists
from shared.index_schema.changes import schema_in
from shared.index_schema.keys import StudyPlace
from shared.index_schema.postings import ALL, sort_key_of
from shared.index_schema.schema import BUILT_IN, IndexSchema
from shared.registry.schema_registry import State
from shared.storage.ports import Entity


@dataclass
class StudyFacts:
    """The rows of one study, and those of its postings that are in the tables."""

    place: StudyPlace
    entities: list[Entity]
    postings: dict[str, Entity] = field(default_factory=dict)
    """Row key to row, of `idx` and `idxi`, of the shard and namespace of the study."""
    schema: IndexSchema = BUILT_IN

    def __post_init__(self) -> None:
        self.rows = study_rows.rows_in([self.entities])
        instances = [entity for entity in self.entities if entity.row_key.startswith("I!")]
        self.live = {keys.instance_of(row.row_key): row for row in instances if row.properties["live"]}
        self.dead = {keys.instance_of(row.row_key): row for row in instances if not row.properties["live"]}
        self.unfinished = [entity.row_key for entity in self.entities if entity.row_key[0] in "DEG"]

    def implied(self) -> set[str]:
        """The study- and series-level postings that the folded rows imply, as far as their schema goes."""
        study, sort_key, tally = self.place.study_instance_uid, self.rows.sort_key, self.rows.tally()
        if not sort_key or self.rows.summary is None:
            return set()
        schema = self.schema.upto(tally.study.schema)
        postings = schema.study_postings(sort_key, study, tally.study.plain(), 1)
        for uid, summary in tally.series.items():
            schema = self.schema.upto(summary.schema)
            postings |= schema.series_postings(sort_key, study, uid, summary.plain())
        return set(postings)

    def implied_by_instances(self, *, folded_only: bool) -> set[str]:
        """The postings of live instances; `folded_only`: of those whose change is not pending."""
        pending = {(change.series, change.instance) for change in self.rows.pending}
        return {
            row_key
            for series, instance in self.live
            if not (folded_only and (series, instance) in pending)
            for row_key in self.instance_postings(series, instance)
        }

    def instance_postings(self, series: str, instance: str) -> set[str]:
        """The postings of a live instance, as far as the schema of its row goes."""
        row, sort_key, study = self.live[series, instance], self.rows.sort_key, self.place.study_instance_uid
        schema, attributes = self.schema.upto(schema_in(row)), orjson.loads(row.properties["attrs"])
        return set(schema.instance_postings(sort_key, study, (series, instance), attributes))


def at_every_moment(facts: StudyFacts) -> Iterator[str]:
    """Invariants 1 to 5 of storage §5."""
    rows = facts.rows
    if rows.anchor is None:
        if rows.pending or facts.live or rows.summary:
            yield "rows without an anchor"
        return
    counted = rows.overlaid()
    if counted.study.count != len(facts.live):
        yield f"count {counted.study.count} of {len(facts.live)} live instances"
    for uid in {series for series, _ in facts.live} | set(counted.series):
        live = sum(series == uid for series, _ in facts.live)
        tallied = counted.series.get(uid, Summary()).count
        if live != tallied:
            yield f"count {tallied} of {live} live instances in a series"
    missing = facts.implied() - facts.postings.keys()
    if missing:
        yield f"folded rows imply postings that are missing: {sorted(missing)[:3]}"
    missing = facts.implied_by_instances(folded_only=True) - facts.postings.keys()
    if missing:
        yield f"live instances without posting: {sorted(missing)[:3]}"


def at_rest(facts: StudyFacts, lists: Iterable[Entity]) -> Iterator[str]:
    """Invariant 11: of a study without a hint the study lists say what its own rows say."""
    rows = facts.rows
    view = view_of(facts.place, rows, rows.overlaid())
    study = facts.place.study_instance_uid
    mine = {row.row_key: row.properties["view"] for row in lists if row.properties.get("study") == study}
    row_keys = study_lists.row_keys(view.sort_key, view.attributes) if view else []
    if mine != {row_key: packed(view) for row_key in row_keys if view}:
        yield f"the lists say something else of a study at rest: {sorted(mine)} for {row_keys}"


def while_complete(schemas: Iterable[Entity], studies: Iterable[StudyFacts]) -> Iterator[str]:
    """No row of a lower schema is there while one is complete, and none that is pending brings one (storage §8)."""
    complete = max((int(row.row_key) for row in schemas if row.properties["state"] == State.COMPLETE), default=1)
    for facts in studies if complete > 1 else ():
        rows = [row for row in (facts.rows.summary, *facts.rows.series.values(), *facts.live.values()) if row]
        numbers = [schema_in(row) for row in rows]
        numbers += [change.schema for change in facts.rows.pending if change.operation != "delete"]
        if any(number < complete for number in numbers):
            yield f"schema {complete} is complete, but there are rows of an older one"


def when_acknowledged(facts: StudyFacts, series: str, instance: str, blob: str) -> Iterator[str]:
    """Invariant 2: what a store has brought is found by every attribute that is still its own."""
    row = facts.live.get((series, instance))
    if row is None or row.properties["blob"] != blob:
        return  # deleted or replaced meanwhile
    sort_key, study = facts.rows.sort_key, facts.place.study_instance_uid
    change_id = keys.change_id(int(row.properties["v"]), series, instance)
    tally = facts.rows.overlaid()

    def own(summary: Summary) -> dict[str, str]:
        return {key: text for key, text in summary.plain().items() if summary.attributes[key][1] == change_id}

    own_study = own(tally.study)
    by_study, by_series = (facts.schema.upto(each.schema) for each in (tally.study, tally.series[series]))
    wanted = set(by_study.study_value_postings(sort_key, study, own_study))
    wanted |= set(by_series.series_postings(sort_key, study, series, own(tally.series[series])))
    wanted |= facts.instance_postings(series, instance)
    missing = wanted - facts.postings.keys()
    if missing:
        yield f"acknowledged, but not found by {sorted(missing)[:3]}"
    listed = [
        orjson.loads(posting.properties["attributes"])
        for row_key, posting in facts.postings.items()
        if row_key.startswith(f"{ALL}!!{sort_key}!")
    ]
    searchable = {key: text for key, text in own_study.items() if key in by_study.searchable}
    if not any(searchable.items() <= attributes.items() for attributes in listed):
        yield "acknowledged, but not in the list of all studies with its values"


def when_all_is_done(facts: StudyFacts, live_blobs: Iterable[str]) -> Iterator[str]:
    """Nothing pending, summaries as the live instances say (S-1), every file there."""
    yield from at_every_moment(facts)
    if facts.unfinished:
        yield f"left unfinished: {facts.unfinished[:3]}"
    if facts.rows.anchor and not facts.live:
        yield "an empty study was not removed"
    blobs = set(live_blobs)
    if any(row.properties["blob"] not in blobs for row in facts.live.values()):
        yield "a live instance has lost its file"
    if any((file := original_blob_in(row)) and file not in blobs for row in facts.live.values()):
        yield "an updated instance has lost its original version"
    tally = facts.rows.tally()
    yield from _summary_follows(tally.study, facts, None, 0)
    for uid, summary in tally.series.items():
        if summary.count == 0:
            yield "an empty series was not removed"
        yield from _summary_follows(summary, facts, uid, 1)
    mine = {row_key for row_key in facts.postings if sort_key_of(row_key) == facts.rows.sort_key}
    if facts.implied() | facts.implied_by_instances(folded_only=False) > mine:
        yield "postings are missing at the end"


def stale_postings(facts: Iterable[StudyFacts]) -> set[str]:
    """Postings that nothing implies."""
    have: set[str] = set()
    implied: set[str] = set()
    for each in facts:
        have |= each.postings.keys()
        implied |= each.implied() | each.implied_by_instances(folded_only=False)
    return have - implied


def _summary_follows(summary: Summary, facts: StudyFacts, series: str | None, level: int) -> Iterator[str]:
    """Each attribute comes from a live instance, and no live instance has a later value (IDX-2, S-1)."""
    live = {
        keys.change_id(int(row.properties["v"]), uid, instance): (
            orjson.loads(row.properties["index"])[level],
            uid,
            instance,
        )
        for (uid, instance), row in facts.live.items()
        if series in (None, uid)
    }
    digests = {keys.ChangeId.parse(change_id).digest for change_id in live}
    for key, (text, source) in summary.attributes.items():
        if key in LASTING:
            continue  # it stands, deleted or not
        if keys.ChangeId.parse(source).digest not in digests:
            yield f"{key} comes from an instance that is deleted"
        for change_id, (attributes, uid, instance) in live.items():
            value = f"{uid}!{instance}" if key == NEWEST else attributes.get(key)
            if value and (change_id > source or not text):
                yield f"{key} is not the latest value"
            if change_id == source and value != text:
                yield f"{key} is not what its source says"
    for attributes, _, _ in live.values():
        if attributes.keys() - summary.attributes.keys():
            yield "an attribute of a live instance is missing"
