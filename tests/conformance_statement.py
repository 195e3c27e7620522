"""The conformance statement (PS3.2), made from the product and from the rules that tests show.

`python -m tests.conformance_statement` prints it; docs/conformance-statement.md holds it.
"""

import textwrap
from collections.abc import Iterator, Sequence

from pydicom.uid import UID

from shared.capabilities.descriptions import documented, search_keys
from shared.dicom.part10.charset import CODECS
from shared.dicom.transfer_syntaxes import (
    DEFLATED_FRAMES,
    FRAME_TARGETS,
    JPEG_XL,
    JPEG_XL_LOSSLESS,
    JPEG_XL_RECOMPRESSION,
    REVERSIBLE_TARGETS,
    SOURCES,
    VIDEO,
)
from shared.dicomweb.documentation import Documentation
from shared.dicomweb.resource import Resource
from shared.dicomweb.versions import ApiVersion
from tests import rules

PAGE = rules.ROOT / "docs" / "conformance-statement.md"

_STANDARD = (
    ("STOW-RS", "PS3.18 §10.5", ("store",)),
    ("WADO-RS", "PS3.18 §10.4", ("retrieve", "retrieve-metadata", "retrieve-rendered")),
    ("QIDO-RS", "PS3.18 §10.6", ("query",)),
    ("UPS-RS", "PS3.18 §11", ("-workitem",)),
)
"""Services of the standard: name, section, and how the operations of their audit records end."""
_NAMES = {
    JPEG_XL_LOSSLESS: "JPEG XL Lossless",
    JPEG_XL_RECOMPRESSION: "JPEG XL JPEG Recompression",
    JPEG_XL: "JPEG XL",
    DEFLATED_FRAMES: "Deflated Image Frame Compression",
}
"""Of those that pydicom does not name yet."""


def statement() -> str:
    """The whole page."""
    return "\n".join(_lines()).rstrip() + "\n"


def _lines() -> Iterator[str]:
    yield from ("# Conformance statement", "")
    yield from _paragraph(
        "What this service does of DICOM, after the outline of PS3.2. Made by `make conformance-statement` from",
        "the table of resources, the tables of the code, and the rules of the",
        "[specification](specification/README.md) that tests show; a test holds the page to them. `GET",
        "/{version}/conformance` answers the same of a running deployment, with its settings.",
    )
    yield from ("", "## 1. Overview", "")
    yield from _paragraph(
        "The service is an origin server of the web services of PS3.18: Studies Service and Worklist Service. It",
        "takes part in no DIMSE association. Composite instances of every SOP class are stored, private ones",
        "included, as long as StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID, SOPClassUID and PatientID are",
        "there. Nothing of an instance is changed by storing it but for the preamble, which is cleared unless",
        "`CLEAR_PREAMBLE` says otherwise.",
    )
    rows = documented(ApiVersion.V2, data_partitions=True)
    left = list(rows)
    yield from ("", "## 2. Services of the standard")
    for name, section, ends in _STANDARD:
        own = [row for row in rows if _is_of(row[0], ends)]
        left = [row for row in left if row not in own]
        yield from ("", f"### {name}", "", f"{section}, as origin server.", "", *_table(own))
    yield from ("", "## 3. Further resources", "", *_table(left))
    yield from ("", "## 4. Matching keys", "")
    yield "Studies Service; extended query tags add to them. Rules of matching: [Search](api/search.md#matching)."
    yield from ("", "| Level | Attributes |", "|---|---|")
    for level, keys in search_keys().items():
        yield f"| {level} | {', '.join(sorted(keys))} |"
    yield from _transfer_syntaxes()
    yield from ("", "## 6. Character sets", "")
    names = ", ".join(f"`{name}`" for name in CODECS if not name.startswith("ISO 2022 58"))
    yield f"(0008,0005) SpecificCharacterSet: {names}. Answers are in UTF-8."
    yield from ("", "## 7. Security", "")
    yield from _paragraph(
        "TLS is the platform's. Callers are known by bearer tokens of an OpenID provider; what they may do, roles",
        "on data partitions say ([Sign-in and roles](operate/roles.md)). De-identification: PS3.15 Annex E, Basic",
        "Profile with options ([De-identification](use/de-identification.md)). Audit records: who, what, on which",
        "UIDs, with which outcome.",
    )
    yield from ("", "## 8. Extensions, specialisations, privatisations", "")
    yield from _paragraph(
        "Where Microsoft's archived server and the standard differ, or leave a choice: section 14 of the",
        "[specification](specification/dicomweb.md#14-differences). Private data elements are kept; their value",
        "representation is that of the file, or of the private dictionary.",
    )
    yield from ("", "## 9. Rules, and the tests that show them", "")
    yield "`python -m tests.rules STOW-41` prints a rule with its tests."
    yield from ("", "| Page | Section | Rules | Shown |", "|---|---|---|---|")
    yield from _evidence()


def _paragraph(*lines: str) -> list[str]:
    return textwrap.wrap(" ".join(lines), 130, break_long_words=False, break_on_hyphens=False)


def _transfer_syntaxes() -> Iterator[str]:
    yield from ("", "## 5. Transfer syntaxes", "")
    yield from _paragraph(
        "Instances in every transfer syntax are stored, and retrieved as they were stored. Between those of this",
        "table the service converts without a loss that the target does not imply.",
    )
    yield from ("", "| Transfer syntax | Converted from | Instances into | Frames into |", "|---|---|---|---|")
    for uid in sorted(SOURCES | REVERSIBLE_TARGETS | FRAME_TARGETS):
        marks = " | ".join("yes" if uid in each else "" for each in (SOURCES, REVERSIBLE_TARGETS, FRAME_TARGETS))
        name = UID(uid).name
        yield f"| {_NAMES[uid] if name == uid else name} `{uid}` | {marks} |"
    yield ""
    yield f"Video ({len(VIDEO)} transfer syntaxes of MPEG2, MPEG-4 and HEVC) is sent as stored, in ranges of bytes."


def _is_of(row: Resource, ends: Sequence[str]) -> bool:
    audit = row.audit or ""
    return any(audit.endswith(end) if end.startswith("-") else audit == end for end in ends)


def _table(rows: Sequence[tuple[Resource, Documentation, tuple[str, ...]]]) -> Iterator[str]:
    yield from ("| Resource | Methods | Taken | Answered |", "|---|---|---|---|")
    for row, told, methods in rows:
        path = "/" + row.path(data_partitions=False).replace("{*", "{")
        yield f"| `{path}` | {', '.join(methods)} | {_types(told.consumes)} | {_types(told.produces)} |"


def _types(media_types: Sequence[str]) -> str:
    parts = [each.partition("type=")[2].strip('"') for each in media_types if each.startswith("multipart/related")]
    alone = [each for each in media_types if not each.startswith("multipart/related")]
    told = [", ".join(f"`{each}`" for each in alone)] if alone else []
    told += ["parts of " + ", ".join(f"`{each}`" for each in parts)] if parts else []
    return "; ".join(told)


def _evidence() -> Iterator[str]:
    shown = rules.tested_rules()
    sections: dict[tuple[str, str], list[rules.Rule]] = {}
    for rule in rules.all_rules():
        if rule.built:
            sections.setdefault((rule.page, rule.section.partition(" / ")[0]), []).append(rule)
    for (page, section), found in sections.items():
        families = sorted({rule.family for rule in found})
        tests = sum(rule.identifier in shown for rule in found)
        carried = len(found) - tests
        told = f"{tests} by tests" + (f", {carried} by other rules" if carried else "")
        yield f"| [{page}](specification/{page}.md) | {section} | {len(found)} ({', '.join(families)}) | {told} |"


if __name__ == "__main__":
    print(statement(), end="")
