"""The last word on whether a study, series or instance matches: judged by its own rows (dicomweb §8.4). Pure."""

from collections.abc import Callable, Sequence

from shared.dicom.matching import AttributeMatch, Empty, Universal
from shared.index.model import SeriesView, StoredInstance, StudyView
from shared.index_schema.indexed_attributes import (
    MODALITIES_IN_STUDY,
    MODALITY,
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
)
from shared.index_schema.postings import Posting
from shared.search.label_key import has_label
from shared.search.request import SearchQuery
from shared.storage.ports import Entity


def is_match(view: StudyView, query: SearchQuery) -> bool:
    """Whether the study-level keys match, by the study's latest values (MATCH-10)."""
    if query.labels is not None and not has_label(view, query.labels):
        return False
    return all(_study_value_matches(view, item.key, item.match) for item in query.at("study"))


def _study_value_matches(view: StudyView, key: str, match: AttributeMatch) -> bool:
    if key == STUDY_INSTANCE_UID:
        return match.matches(view.study_instance_uid)
    if key == MODALITIES_IN_STUDY:  # MATCH-8
        answers = [match.matches(series.attributes.get(MODALITY)) for series in view.series.values()]
        return all(answers) if isinstance(match, Empty) else any(answers)
    return match.matches(view.attributes.get(key))


def matching_series(view: StudyView, query: SearchQuery) -> list[SeriesView]:
    """The series that the path and the series-level keys select, newest first."""
    filters = query.at("series")
    return [
        series
        for series in sorted(view.series.values(), key=lambda series: series.sort_key)
        if query.series in (None, series.series_instance_uid)
        and all(
            item.match.matches(
                series.series_instance_uid if item.key == SERIES_INSTANCE_UID else series.attributes.get(item.key)
            )
            for item in filters
        )
    ]


def is_instance_match(instance: StoredInstance, query: SearchQuery) -> bool:
    """Whether the instance-level keys match."""
    known = {SOP_INSTANCE_UID: instance.identifier.sop_instance_uid, SOP_CLASS_UID: instance.sop_class_uid}
    return all(
        item.match.matches(known.get(item.key) or instance.attributes.get(item.key)) for item in query.at("instance")
    )


def row_judge(query: SearchQuery) -> Callable[[Entity], bool] | None:
    """Judges a row of the list of all studies by those study-level keys whose values it carries; None if it has none.

    A study whose rows it all refuses does not match.
    """
    filters: Sequence[tuple[str, AttributeMatch]] = [
        (item.key, item.match)
        for item in query.at("study")
        if item.key in query.schema.carried("study") and not isinstance(item.match, Universal)
    ]
    if not filters:
        return None

    def fits(entity: Entity) -> bool:
        posting = Posting.parse(entity)
        carried = posting.attributes or {}
        # Of what came later than the schema that the row was written under, it says nothing.
        return all(
            match.matches(carried.get(key)) for key, match in filters if query.schema.carries(key, posting.schema)
        )

    return fits
