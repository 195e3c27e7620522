"""The latest values of a study and its series, and what changes do to them (storage §3, IDX-2, S-1). Pure.

Of two values of an attribute the one with the larger change id wins, whatever the order in which they arrive.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from shared.index_schema import keys
from shared.index_schema.changes import Change, schema_in, schema_property
from shared.index_schema.indexed_attributes import UNREGISTERED, IndexedValues
from shared.storage.ports import Entity, Value

NEWEST = "newest"
"""Pseudo attribute: the live instance with the highest version, as `series!instance`."""
EXPIRES = "expires"
"""Pseudo attribute of a study: when it expires, milliseconds since 1970, '0' if it does not. The last store decides,
and goes on deciding when its instance is deleted (EXP-1)."""

TAKING_BACK = frozenset({"delete", "update"})
"""The operations of changes that end a version of an instance whose values are not to be found any more (S-1)."""

EMPTIED = "emptied"
"""Pseudo attribute of a study: the version of the change that has last taken its only instance. What belonged to the
study and is in none of its files ended with that (SEL-4)."""

LASTING = frozenset({EXPIRES, EMPTIED})
"""Those that stand when the instance that they came from is deleted."""

PSEUDO = frozenset({NEWEST, EXPIRES, EMPTIED})
"""Not attributes of the data: no posting, and no reason for a fold."""


@dataclass(slots=True)
class Summary:
    """A study or a series: instances, creation, and each attribute with the id of the change that it came from."""

    count: int = 0
    created: int = 0
    """The version that created it (series alone; a study has its anchor)."""
    attributes: dict[str, tuple[str, str]] = field(default_factory=dict)
    schema: int = UNREGISTERED
    """The lowest number of a schema that its values were taken by; UNREGISTERED while it has none."""

    def absorb(self, change_id: str, attributes: IndexedValues) -> None:
        """Take over the values that win against the present ones."""
        for key, text in attributes.items():
            if _wins(text, change_id, self.attributes.get(key)):
                self.attributes[key] = (text, change_id)

    def plain(self) -> dict[str, str]:
        """The attributes alone."""
        return {key: text for key, (text, _) in self.attributes.items() if key not in PSEUDO}

    def properties(self) -> dict[str, Value]:
        """The properties of its row."""
        schema = 1 if self.schema == UNREGISTERED else self.schema
        attributes = orjson.dumps(self.attributes)
        return {"n": self.count, "created": self.created, "attrs": attributes, **schema_property(schema)}


def summary_in(entity: Entity | None) -> Summary:
    """The summary in a B or C row; an empty one if there is no row."""
    if entity is None:
        return Summary()
    properties: Mapping[str, Any] = entity.properties
    attributes = {key: (text, change) for key, (text, change) in orjson.loads(properties["attrs"]).items()}
    return Summary(properties["n"], properties["created"], attributes, schema_in(entity))


def _wins(text: str, change_id: str, present: tuple[str, str] | None) -> bool:
    if present is None:
        return True
    # rule: an empty PatientID never wins
    if (text == "") != (present[0] == ""):  # an empty PatientID stands only while there is no other (STOW-22)
        return text != ""
    # rule: the latest value wins
    return change_id > present[1]


@dataclass(frozen=True, slots=True)
class LiveInstance:
    """A live instance, with the values that a summary may take from it."""

    change_id: str
    """The id of the change that made it."""
    series: str
    instance: str
    study_attributes: IndexedValues
    series_attributes: IndexedValues


@dataclass(slots=True)
class Tally:
    """The summaries of a study while changes are applied to them."""

    study: Summary
    series: dict[str, Summary]
    endings: dict[str, str] = field(default_factory=dict)
    """Instance digest to the id of the latest applied change that deleted or updated it."""

    def apply(self, change: Change) -> None:
        """Count a change and take over its values."""
        series = self.series.setdefault(change.series, Summary())
        if not series.count:
            series.created = change.version
        series.count += change.delta
        self.study.count += change.delta
        # rule: an update takes back what its instance was the source of, as a deletion does
        if change.operation in TAKING_BACK:
            self.endings[change.digest] = max(change.id, self.endings.get(change.digest, ""))
        if change.operation == "delete":
            if self.study.count == 0:
                self.study.absorb(change.id, {EMPTIED: str(change.version)})
            return
        self.study.schema = min(self.study.schema, change.schema)
        series.schema = min(series.schema, change.schema)
        newest = {NEWEST: keys.joined_uids(change.series, change.instance)}
        self.study.absorb(change.id, change.study_attributes)
        self.study.absorb(change.id, newest)
        series.absorb(change.id, change.series_attributes)
        series.absorb(change.id, newest)

    def lost(self, summary: Summary) -> list[str]:
        """The attributes of `summary` whose source has been deleted, or has them no longer since an update (S-1)."""
        if not self.endings:
            return []
        return [
            key
            for key, (_, source) in summary.attributes.items()
            # rule: the last store decides the expiry, deleted or not
            if key not in LASTING and self.endings.get(keys.ChangeId.parse(source).digest, "") > source
        ]

    def losing(self) -> list[str] | None:
        """The series whose instances must be read for `restore`; [] for none, None for the whole study."""
        if self.lost(self.study):
            return None
        return [series for series, summary in self.series.items() if self.lost(summary)]

    def restore(self, instances: Iterable[LiveInstance]) -> None:
        """Give lost attributes the latest value among the live instances, or none (S-1)."""
        study_lost = self._forget(self.study)
        series_lost = {uid: self._forget(summary) for uid, summary in self.series.items()}
        for live in instances:
            newest = {NEWEST: keys.joined_uids(live.series, live.instance)}
            if study_lost:
                self.study.absorb(live.change_id, _only(study_lost, {**live.study_attributes, **newest}))
            if lost := series_lost.get(live.series):
                self.series[live.series].absorb(live.change_id, _only(lost, {**live.series_attributes, **newest}))

    def _forget(self, summary: Summary) -> frozenset[str]:
        lost = self.lost(summary)
        for key in lost:
            del summary.attributes[key]
        return frozenset(lost)


def _only(names: frozenset[str], attributes: IndexedValues) -> IndexedValues:
    return {key: text for key, text in attributes.items() if key in names}
