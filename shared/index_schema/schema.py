"""The schema of the index: the attributes that its rows carry, and its lists (storage §6.1, §8). Pure.

Schemas are numbered; each adds attributes to the one before. Every row of a study, a series and an instance carries the
number that it was written under, none being 1: of an attribute that came later it says nothing, not even that there is
no value. A schema goes through three states:

1. announced: every process gets to know its attributes, and nobody writes them; a process that does not know a list
   would take its postings for stale;
2. active: writers write its number. Until the re-index is done, rows of lower numbers are left;
3. complete: no row of a lower number is left. Only then its lists hold every value.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal, Protocol

from shared.index_schema import attribute_extraction as extraction
from shared.index_schema import postings
from shared.index_schema.indexed_attributes import (
    ADDED,
    IDENTITY,
    PATIENT_ID,
    SCHEMA_1,
    SHARED_KEYS,
    UNREGISTERED,
    IndexedAttribute,
    IndexedValues,
    Level,
)
from shared.index_schema.postings import Postings

_SERIES_UID_CODE, _SOP_UID_CODE = "su", "iu"
_REMEMBERED = 256

type AttributeStatus = Literal["adding", "ready"]

type Taken = tuple[IndexedValues, IndexedValues, IndexedValues]
"""The study, series and instance attributes of an instance."""


@dataclass(frozen=True, eq=False)
class IndexSchema:
    """A schema, with those that are announced after it."""

    number: int
    """The number of the schema that writers write: the latest active one."""
    attributes: Mapping[str, IndexedAttribute]
    """By key, those of announced schemas included."""
    complete: frozenset[int] = frozenset({1})
    """The numbers of the schemas that are complete."""

    @staticmethod
    def of(number: int, attributes: Iterable[IndexedAttribute], complete: Iterable[int] = (1,)) -> "IndexSchema":
        """The schema of these attributes."""
        return IndexSchema(number, {attribute.key: attribute for attribute in attributes}, frozenset(complete))

    @cached_property
    def latest(self) -> int:
        """The number of the last schema that is known, active or only announced."""
        return max(self.number, *self.complete, *self._numbers)

    @cached_property
    def missing(self) -> frozenset[int]:
        """The numbers of the schemas that are known and not complete."""
        return frozenset(self._numbers - self.complete)

    @cached_property
    def _numbers(self) -> set[int]:
        return {attribute.since for attribute in self.attributes.values() if attribute.since < UNREGISTERED}

    @cached_property
    def _last(self) -> int:
        return max(attribute.since for attribute in self.attributes.values())

    def upto(self, number: int) -> "IndexSchema":
        """The schema of that number: what rows that carry the number were written under."""
        return self if number >= self._last else _upto(self, number)

    # ------------------------------------------------------------------------------------------------- what it carries

    @cached_property
    def searchable(self) -> Mapping[str, IndexedAttribute]:
        """The attributes that can be matching keys, by key."""
        return {key: attribute for key, attribute in self.attributes.items() if attribute.searchable}

    @cached_property
    def custom(self) -> Mapping[str, IndexedAttribute]:
        """The custom attributes that there are, the oldest first, by path."""
        return {each.path: each for each in self.attributes.values() if each.custom and not each.deleted}

    @cached_property
    def unsettled(self) -> bool:
        """Whether there is an attribute that searches may not use yet, or not at present."""
        return any(self.status(each) != "ready" or not each.enabled for each in self.custom.values())

    def status(self, attribute: IndexedAttribute) -> AttributeStatus:
        """The state of an attribute that is not deleted (EQT-31)."""
        return "ready" if attribute.since in self.complete else "adding"

    def is_adding(self, key: str, number: int) -> bool:
        """Whether a custom attribute, which is not deleted, is new to rows of that number (EQT-42)."""
        attribute = self.attributes.get(key)
        return bool(attribute and attribute.custom and not attribute.deleted and attribute.since > number)

    def carried(self, level: Level) -> tuple[str, ...]:
        """The keys that the attributes of a row of that level may hold."""
        return _carried(self, level)

    def carries(self, key: str, number: int) -> bool:
        """Whether rows of that number say what value an attribute has, or that it has none."""
        attribute = self.attributes.get(key)
        return key in SHARED_KEYS or (attribute is not None and attribute.since <= number)

    def lists(self, key: str) -> tuple[str, ...]:
        """The codes of the lists of an attribute that hold every value; none while they are being filled."""
        attribute = self.attributes.get(key)
        return attribute.codes if attribute and attribute.since in self.complete else ()

    def listed(self, attributes: IndexedValues) -> IndexedValues:
        """Those of the attributes of an instance of which there are lists."""
        return {key: text for key, text in attributes.items() if (known := self.attributes.get(key)) and known.codes}

    def extract(self, data_set: Mapping[str, Mapping[str, Any]]) -> Taken:
        """The study, series and instance attributes of a data set in the DICOM JSON model (IDX-1, D-14, D-15).

        The first value of each attribute that has a usable one, as DICOM text, padding kept. An empty PatientID that is
        present is '' (STOW-22).
        """
        study, series, instance = (self._extract(data_set, level) for level in ("study", "series", "instance"))
        if PATIENT_ID in data_set and PATIENT_ID not in study:
            study[PATIENT_ID] = ""
        return study, series, instance

    def extend(self, taken: Taken, number: int, data_set: Mapping[str, Mapping[str, Any]]) -> Taken:
        """The attributes taken of a data set by the schema of that number, and those that have come since.

        The rest stays as it was taken: a stored document may lack what the file had (D-14).
        """
        study, series, instance = (
            {**before, **{key: text for key, text in now.items() if not self.carries(key, number)}}
            for before, now in zip(taken, self.extract(data_set), strict=True)
        )
        return study, series, instance

    def _extract(self, data_set: Mapping[str, Mapping[str, Any]], level: Level) -> dict[str, str]:
        return self.values(data_set, self.upto(self.number).carried(level))

    def values(self, data_set: Mapping[str, Mapping[str, Any]], tags: Iterable[str]) -> dict[str, str]:
        """The attributes `tags` of a data set, those of them that have a usable value."""
        found = {}
        for key in tags:
            attribute = self.attributes.get(key)
            if attribute and attribute.custom:
                text = None if attribute.deleted else extraction.custom_value(data_set, attribute).text
                if text is not None:
                    found[key] = text
                continue
            text = extraction.indexed_text(data_set, key)
            if text is not None and extraction.is_usable(attribute.vr if attribute else "", text):
                found[key] = text
        return found

    def faults(self, data_set: Mapping[str, Mapping[str, Any]], number: int, upto: int) -> dict[str, str]:
        """The custom attributes that have come since the schema of that number, `upto` another one, and of which a data
        set has a value that cannot be indexed: by key, what is wrong with it (EQT-40).
        """
        return {
            each.key: fault
            for each in self.custom.values()
            if number < each.since <= upto and (fault := extraction.custom_value(data_set, each).fault)
        }

    # ------------------------------------------------------------------------------------------------------- its lists

    def study_postings(self, sort_key: str, study: str, attributes: IndexedValues, number: int) -> Postings:
        """The study-level postings that these attributes imply, the row of the list of all studies included.

        `number`: that of the row that has the attributes.
        """
        rows = self.study_value_postings(sort_key, study, attributes)
        searchable = {key: text for key, text in attributes.items() if key in self.searchable}
        return rows | postings.listed_posting(sort_key, study, searchable, 1 if number == UNREGISTERED else number)

    def study_value_postings(self, sort_key: str, study: str, attributes: IndexedValues) -> Postings:
        """The postings of these values of a study."""
        return self._postings("study", postings.tail(sort_key), {"study": study}, attributes)

    def series_postings(self, sort_key: str, study: str, series: str, attributes: IndexedValues) -> Postings:
        """The series-level postings that these attributes imply, that of the series' UID included."""
        rows = self.series_value_postings(sort_key, study, series, attributes)
        tail = postings.tail(sort_key, (series,))
        return rows | postings.uid_posting(_SERIES_UID_CODE, series, tail, {"study": study, "series": series})

    def series_value_postings(self, sort_key: str, study: str, series: str, attributes: IndexedValues) -> Postings:
        """The postings of these values of a series."""
        properties = {"study": study, "series": series}
        return self._postings("series", postings.tail(sort_key, (series,)), properties, attributes)

    def instance_postings(
        self, sort_key: str, study: str, uids: tuple[str, str], attributes: IndexedValues
    ) -> Postings:
        """The instance-level postings of an instance; `uids`: of the series and its own."""
        series, instance = uids
        properties = {"study": study, "series": series, "instance": instance}
        tail = postings.tail(sort_key, uids)
        rows = postings.uid_posting(_SOP_UID_CODE, instance, tail, properties)
        return rows | self._postings("instance", tail, properties, attributes)

    def _postings(self, level: Level, tail: str, properties: Mapping[str, str], attributes: IndexedValues) -> Postings:
        rows: Postings = {}
        for key, text in attributes.items():
            attribute = self.attributes.get(key)
            if attribute and attribute.level == level:
                rows |= postings.value_postings(attribute, text, tail, properties)
        return rows


@lru_cache(_REMEMBERED)
def _upto(schema: IndexSchema, number: int) -> IndexSchema:
    attributes = [attribute for attribute in schema.attributes.values() if attribute.since <= number]
    return IndexSchema.of(number, attributes, schema.complete)


@lru_cache(_REMEMBERED)
def _carried(schema: IndexSchema, level: Level) -> tuple[str, ...]:
    own = [key for key, each in schema.attributes.items() if each.level == level and key not in IDENTITY]
    return tuple(dict.fromkeys(own if level == "instance" else [*own, *SHARED_KEYS]))


BUILT_IN = IndexSchema.of(1, (*SCHEMA_1, *ADDED))
"""The schema that a process knows before it has asked the store."""


class Schemas(Protocol):
    """Knows the schema of the store. What it knows never goes back to an earlier number."""

    @property
    def known(self) -> IndexSchema:
        """The schema as it was last read. Good enough for readers: they ask each row for its number."""
        ...

    async def current(self) -> IndexSchema:
        """The schema as it was a few seconds ago. Raises Unavailable."""
        ...

    async def refresh(self) -> IndexSchema:
        """The schema as it is now. Raises Unavailable."""
        ...

    async def at_least(self, number: int) -> IndexSchema:
        """The same, with all attributes that rows of `number` may carry. Raises Unavailable."""
        ...

    def age(self) -> float:
        """Seconds since the schema was last read."""
        ...

    async def reopen(self, number: int) -> None:
        """Rows of a lower number were found: that schema is not complete. Raises Unavailable."""
        ...

    async def disable(self, keys: Iterable[str]) -> None:
        """Values of these attributes were found that cannot be indexed: no search uses them until somebody says so
        (EQT-41). Idempotent. Raises Unavailable.
        """
        ...
