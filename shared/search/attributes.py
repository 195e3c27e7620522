"""PS3.18 §10.6.1.2, §10.6.3.3 Attributes that a search asks for or returns, by resource, level and version."""

from collections.abc import Mapping

from shared.dicomweb.versions import ApiVersion
from shared.index_schema.indexed_attributes import MODALITIES_IN_STUDY, MODALITY, Level

SPECIFIC_CHARACTER_SET = "00080005"
TIMEZONE_OFFSET = "00080201"

# Computed, as ModalitiesInStudy is (dicomweb §8.5).
INSTANCE_AVAILABILITY = "00080056"
RETRIEVE_URL = "00081190"
NUMBER_OF_STUDY_RELATED_SERIES = "00201206"
NUMBER_OF_STUDY_RELATED_INSTANCES = "00201208"
NUMBER_OF_SERIES_RELATED_INSTANCES = "00201209"
AVAILABLE_TRANSFER_SYNTAX_UID = "00083002"

SERIES_NUMBER = "00200011"


SEARCH_LEVELS: Mapping[str, tuple[Level, ...]] = {
    "search_studies": ("study",),
    "search_series": ("study", "series"),
    "search_instances": ("study", "series", "instance"),
    "search_study_series": ("series",),
    "search_study_instances": ("series", "instance"),
    "search_series_instances": ("instance",),
}
"""Search resource to the levels searched and returned (dicomweb §8.1); the last is the results'."""


LIST_SEPARATORS: Mapping[str, str] = {MODALITY: ",", MODALITIES_IN_STUDY: ","}
"""The separators of alternatives in a matching key, beside those of the VR, by attribute (W-19)."""


def _tags(text: str) -> frozenset[str]:
    return frozenset(text.replace(",", "").split())


_SHORT_DEFAULTS: Mapping[Level, frozenset[str]] = {
    "study": _tags("00080020 00080050 00080090 00081030 00100010 00100020 00100030 0020000D"),
    "series": _tags("00080060 00081090 0020000E 00400244"),
    "instance": _tags("00080018"),
}

_LONG_DEFAULTS: Mapping[Level, frozenset[str]] = {
    "study": _tags(
        "00080005 00080020 00080030 00080050 00080056 00080090 00080201"
        " 00100010 00100020 00100030 00100040 0020000D 00200010"
    ),
    "series": _tags("00080005 00080060 00080201 0008103E 0020000E 00400244 00400245 00400275"),
    "instance": _tags("00080005 00080016 00080018 00080056 00080201 00200013 00280008 00280010 00280011 00280100"),
}

_MORE: Mapping[Level, frozenset[str]] = {
    "study": _tags(
        "00080063 00081030 00081032 00081060 00081080 00081110 00101010 00101020 00101030 00102180 001021B0"
    ),
    "series": _tags("00080021 00080031 00200011 00200060"),
    "instance": frozenset(),
}

_COMPUTED_ON_ALL: Mapping[Level, frozenset[str]] = {
    "study": frozenset(
        {
            MODALITIES_IN_STUDY,
            INSTANCE_AVAILABILITY,
            RETRIEVE_URL,
            NUMBER_OF_STUDY_RELATED_SERIES,
            NUMBER_OF_STUDY_RELATED_INSTANCES,
        }
    ),
    "series": frozenset({INSTANCE_AVAILABILITY, RETRIEVE_URL, NUMBER_OF_SERIES_RELATED_INSTANCES}),
    "instance": frozenset({INSTANCE_AVAILABILITY, RETRIEVE_URL}),
}


STUDY_SUMMARY = frozenset({MODALITIES_IN_STUDY, NUMBER_OF_STUDY_RELATED_SERIES, NUMBER_OF_STUDY_RELATED_INSTANCES})
"""The attributes that PS3.18 Table 10.6.3-3 returns of every study, and this service on request (D-34)."""

COMPUTED: frozenset[str] = frozenset({AVAILABLE_TRANSFER_SYNTAX_UID, MODALITIES_IN_STUDY}).union(
    *_COMPUTED_ON_ALL.values()
)
"""The attributes that are returned as the service knows them, not as they are stored."""


def default_attributes(version: ApiVersion, levels: tuple[Level, ...]) -> frozenset[str]:
    """The attributes that a search returns without being asked (dicomweb §8.5)."""
    defaults = _SHORT_DEFAULTS if version.short_search_defaults else _LONG_DEFAULTS
    return frozenset[str]().union(*(defaults[level] for level in levels))


def all_attributes(levels: tuple[Level, ...]) -> frozenset[str]:
    """The attributes that `includefield=all` returns (dicomweb §8.5, D-33), with those computed at that level (W-7)."""
    stored = (_LONG_DEFAULTS[level] | _SHORT_DEFAULTS[level] | _MORE[level] for level in levels)
    return _COMPUTED_ON_ALL[levels[-1]].union(*stored)
