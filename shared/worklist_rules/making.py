"""AIX-2 The workitem that a rule makes for a study, from what is stored of it now."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from shared.dicom.attributes import Attributes
from shared.dicom.identifiers import ResourceIdentifier
from shared.index.lookup import InstanceLookup
from shared.index_schema.keys import study_place
from shared.storage.ports import BlobStore
from shared.worklist_rules.rule import WorklistRule
from shared.worklist_rules.selection import SelectedSeries, SeriesMetadata, selected
from shared.worklist_rules.template import MOST_REFERENCES, InputSeries, InputStudy, new_workitem

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class MadeWorkitem:
    """The workitem that a rule makes of a study."""

    uid: str
    series: tuple[str, ...]
    """UIDs of the series that it is about; none: it makes nothing."""
    attributes: Attributes = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Making:
    """Makes workitems of studies; writes nothing. `now`: seconds since 1970."""

    lookup: InstanceLookup
    blobs: BlobStore
    shards: int
    now: Callable[[], float]

    async def of(self, study: str, rules: Sequence[WorklistRule], *, only_new: bool = True) -> list[MadeWorkitem]:
        """The workitems that some rules of one data partition make of a study; none, if the study is not there.

        `only_new`: series that are older than a rule do not count. Raises Unavailable.
        """
        namespace = rules[0].namespace
        view = await self.lookup.study_at(study_place(namespace, study, self.shards))
        if view is None:
            return []
        metadata = SeriesMetadata(namespace, self.lookup, self.blobs)
        made: list[MadeWorkitem] = []
        for rule in rules:
            series = await selected(rule, view, metadata, only_new=only_new)
            made.append(await self._made(rule, study, series))
        return made

    async def _made(self, rule: WorklistRule, study: str, series: Sequence[SelectedSeries]) -> MadeWorkitem:
        uid = rule.workitem_uid(study)
        inputs = await self._inputs(rule.namespace, study, series)
        if not inputs:
            return MadeWorkitem(uid, ())
        attributes = await asyncio.to_thread(
            new_workitem, rule.template, rule.name, InputStudy(study, inputs, series[0].metadata), self.now()
        )
        return MadeWorkitem(uid, tuple(each.series_instance_uid for each in inputs), attributes)

    async def _inputs(self, namespace: str, study: str, series: Sequence[SelectedSeries]) -> list[InputSeries]:
        """The series with their instances: of each the first ones, so that all together are not too many."""
        found: list[InputSeries] = []
        left = MOST_REFERENCES
        for at, each in enumerate(series):
            most = max(1, left // (len(series) - at))
            uid = each.view.series_instance_uid
            references = await self._references(namespace, ResourceIdentifier(study, uid), most)
            left -= len(references)
            if references:
                found.append(InputSeries(uid, references))
        return found

    async def _references(self, namespace: str, scope: ResourceIdentifier, most: int) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        start = ""
        while len(found) < most:
            page, start = await self.lookup.page(namespace, scope, start, top=min(_PAGE, most - len(found)))
            found += [(each.sop_class_uid, each.identifier.sop_instance_uid) for each in page]
            if not start:
                break
        return found
