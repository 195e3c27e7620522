"""The attributes of metadata that a request asks for (META-11; PS3.18 §8.3.4.3)."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from shared.dicom.attributes import AttributePath, parse_attribute_id
from shared.dicomweb.json_model import dumps_in_slices, loads
from shared.dicomweb.query_parameters import invalid_parameter, pairs

_DEEPEST: Final = 64
"""Levels of a path: as many as a data set may have (PS3.5 §7.5 names no limit, readers have one)."""
_MOST: Final = 500
_ALWAYS: Final = ("00080016", "00080018", "0020000D", "0020000E")

type Selection = Mapping[str, "Selection | None"]
"""By tag: None, the whole element; else what of the items of a sequence."""


def parse_selection(query: str) -> Selection | None:
    """The attributes that `includefield` names, repeated or separated by commas, with the four UIDs; None: all.

    Raises InvalidRequest for one that is unknown or empty, and for too many.
    """
    names = [
        part.strip() for name, value in pairs(query) if name.lower() == "includefield" for part in value.split(",")
    ]
    if not all(names) or len(names) > _MOST:
        raise invalid_parameter("IncludeField", "It names no attribute, or too many.")
    paths = [parse_attribute_id(name, deepest=_DEEPEST) for name in names if name.lower() != "all"]
    return None if len(paths) < len(names) or not names else _selection(paths)


def _selection(paths: Iterable[AttributePath]) -> Selection:
    chosen: dict[str, Any] = dict.fromkeys(_ALWAYS)
    for path in paths:
        place = chosen
        *sequences, last = (f"{tag:08X}" for tag in path.tags)
        for sequence in sequences:
            inner = place.setdefault(sequence, {})
            if inner is None:  # all of it is asked for already
                break
            place = inner
        else:
            place[last] = None
    return chosen


def selected(document: bytes, selection: Selection) -> bytes:
    """A data set in the DICOM JSON model with the chosen attributes only. Items keep their numbers."""
    return dumps_in_slices(_chosen(loads(document), selection))


def _chosen(dataset: Mapping[str, Any], selection: Selection) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, element in dataset.items():
        if key not in selection:
            continue
        inner = selection[key]
        if inner is None or "Value" not in element:
            found[key] = element
        else:
            found[key] = {**element, "Value": [_chosen(item or {}, inner) for item in element["Value"]]}
    return found
