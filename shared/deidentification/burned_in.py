"""PS3.15 §E.3.1, §E.3.2 Pixels that may show who the subject is, as far as attributes tell it (DEID-6)."""

from typing import Any, Final

from shared.deidentification.fragments import EXAMINED
from shared.deidentification.report import Finding
from shared.dicom.attributes import Attributes
from shared.dicom.elements import first, first_text, values

_ROOT: Final = "1.2.840.10008.5.1.4.1.1."
_DOCUMENTS: Final = frozenset(f"{_ROOT}104.{n}" for n in range(1, 10))
_SOUNDS: Final = frozenset({f"{_ROOT}9.4.1", f"{_ROOT}9.4.2"})
"""Basic and General Audio Waveform: somebody speaks, and may be known by the voice."""
_CLASSES: Final = frozenset(
    _ROOT + each
    for each in (
        "3",
        "3.1",
        "6",
        "6.1",
        "6.2",
        "6.3",
        "7",
        "7.1",
        "7.2",
        "7.3",
        "7.4",
        "77.1.1",
        "77.1.1.1",
        "77.1.2.1",
        "77.1.4",
        "77.1.4.1",
    )
)
"""Ultrasound, secondary captures, endoscopy, video, and photographs: their makers write on them, or show a face."""
_MODALITIES: Final = frozenset({"DOC", "ES", "IVUS", "OT", "SC", "US", "XC"})
_CAPTURING: Final = frozenset({"RF", "XA"})
_CONVERSION_TYPE: Final = "00080064"
_SLIDES: Final = frozenset({f"{_ROOT}77.1.6", f"{_ROOT}77.1.3", f"{_ROOT}77.1.2"})
"""Microscopy of slides, whose labels have names, numbers or bar codes on them."""
_CAPTURES: Final = frozenset({"CAPTURE", "DOSE", "PROT", "REPORT", "SCREENSHOT", "SUMMARY"})
"""In ImageType: pictures of what a workstation or scanner had on its screen, patient and all."""
_PIXELS: Final = ("7FE00010", "7FE00008", "7FE00009")
_HEADS: Final = frozenset({"BRAIN", "FACE", "HEAD", "HEADNECK", "NECK", "ORBIT", "SINUS", "SKULL"})


def findings(attributes: Attributes, transfer_syntax_uid: str) -> list[Finding]:
    """The suspicions that a data set raises, the gravest first; those about its pixels only where it has any."""
    sop_class = (first_text(attributes, "00080016") or "").rstrip(" \0")
    if sop_class in _DOCUMENTS:
        return [Finding.DOCUMENT]
    if sop_class in _SOUNDS:
        return [Finding.SOUND]
    if not any(key in attributes for key in _PIXELS):
        return []
    found: list[Finding] = []
    burned_in = _code(attributes, "00280301")
    if burned_in == "YES":
        found.append(Finding.BURNED_IN)
    elif burned_in != "NO" and _has_habitual_text(attributes, sop_class):
        found.append(Finding.HABITUAL_TEXT)
    if any("SCREEN" in str(value).upper() for value in values(attributes, "00080008")):
        found.append(Finding.SCREEN)
    if _shows_label(attributes, sop_class):
        found.append(Finding.SLIDE_LABEL)
    if _has_overlay_in_pixels(attributes):
        found.append(Finding.EMBEDDED_OVERLAY)
    if transfer_syntax_uid not in EXAMINED:
        found.append(Finding.UNEXAMINED)
    return found


def shows_face(attributes: Attributes) -> bool:
    """Whether a face may be recognized: it is said so, or could be computed from a volume of the head (§E.3.2)."""
    if _code(attributes, "00280302") == "YES":
        return True
    examined = set(_code(attributes, "00180015").replace("_", " ").split())
    return _code(attributes, "00080060") in {"CT", "MR"} and not examined.isdisjoint(_HEADS)


def _has_habitual_text(attributes: Attributes, sop_class: str) -> bool:
    modality = _code(attributes, "00080060")
    return (
        sop_class in _CLASSES
        or modality in _MODALITIES
        or bool(first(attributes, _CONVERSION_TYPE))
        or (modality in _CAPTURING and "SECONDARY" in values(attributes, "00080008"))
        or not _CAPTURES.isdisjoint(_words_of_image_type(attributes))
    )


def _shows_label(attributes: Attributes, sop_class: str) -> bool:
    """Whether the label of a slide is in the picture (PS3.3 §C.8.12.8), or may be: of an overview it is not said."""
    said = _code(attributes, "00480010")
    if said == "YES":
        return True
    words = _words_of_image_type(attributes) if sop_class in _SLIDES else set()
    return "LABEL" in words or ("OVERVIEW" in words and said != "NO")


def _words_of_image_type(attributes: Attributes) -> set[str]:
    return {word for value in values(attributes, "00080008") for word in str(value).upper().replace("_", " ").split()}


def _has_overlay_in_pixels(attributes: Attributes) -> bool:
    """Whether bits of the samples are an overlay, which leaves them no element that could be removed (PS3.5 §8.1.2)."""
    return any(
        key.startswith("60") and key.endswith("0102") and _is_above_zero(first(attributes, key)) for key in attributes
    )


def _is_above_zero(value: Any) -> bool:
    return isinstance(value, int) and value > 0


def _code(attributes: Attributes, key: str) -> str:
    return (first_text(attributes, key) or "").strip(" \0").upper()
