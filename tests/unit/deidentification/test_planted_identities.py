"""Files that hide an identity wherever one can be; the scanner searches the results byte by byte."""

import struct
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from shared.deidentification.instance import Refused
from shared.deidentification.profile import BurnedIn, Option, Profile
from shared.deidentification.report import Finding
from shared.deidentification.tables import _sop_classes, named
from shared.dicom.dictionary import data_elements
from tests.builders import datasets
from tests.builders.deidentifying import ALL_OPTIONS, deidentified, leaked, with_report
from tests.builders.files import Element, File, file

WORD = "Zquxmorf"
SECOND = "Wendelgard"
NUMBER = "83719264"
DATE = "19630817"
UID = f"1.2.826.0.1.{DATE}.{NUMBER}"
PLANTED = (WORD, SECOND, NUMBER, DATE)

_TEXT = {"LO", "LT", "SH", "ST", "UC", "UT", "PN", "UR", "AE"}
_BYTES = {"OB", "UN", "OB/OW"}
_WORDS = {"OD", "OF", "OL", "OV", "OW"}
_SAMPLES = {0x56000020, 0x7FE00008, 0x7FE00009}
"""Samples are the image, or the spectrum: what they mean, nobody can tell. How many there are their attributes say."""
_LEFT_ALONE = {
    0x00080005,  # the character set decides how all the rest is read
    0x00080016,  # the SOP class, the modality and the sizes decide what becomes of all the rest
    0x00080060,
    0x00080064,
    0x00280301,
    0x00280302,
    0x00280303,
    0x7FE00010,
    0x00282000,
}

_EVERYTHING = [
    (tag, vr) for tag, (_, vr, _, _) in data_elements().items() if tag > 0x00080005 and tag not in _LEFT_ALONE
]


def planted(vr: str) -> Element | None:
    """An element of a VR that says who somebody is."""
    if vr in _TEXT:
        return vr, f"{WORD} {SECOND}"[: 16 if vr in {"SH", "AE"} else None]
    if vr == "CS":
        return vr, WORD.upper()
    if vr in {"IS", "DS"}:
        return vr, NUMBER
    if vr in {"DA", "DT"}:
        return vr, DATE
    if vr == "UI":
        return vr, UID
    if vr in _BYTES:
        return "OB", f"{WORD}{SECOND}{NUMBER}{DATE}".encode()
    return None


def everything() -> dict[int, Element]:
    """One element of each tag of the standard whose VR can carry a text."""
    return {tag: element for tag, vr in _EVERYTHING if (element := planted(vr)) is not None}


def words_of_bytes() -> dict[int, Element]:
    """An element of each tag outside of sequences that has words in place of bytes, and is no picture or mesh."""
    text = f"{WORD}{SECOND}{NUMBER}{DATE}".encode().ljust(64)
    return {tag: (vr, text) for tag, vr in _EVERYTHING if vr in _WORDS and tag not in _SAMPLES}


IDENTITY: Mapping[int, Element] = {
    0x00100010: ("PN", f"{WORD}^{SECOND}"),
    0x00100020: ("LO", NUMBER),
    0x00100030: ("DA", DATE),
}


@pytest.mark.spec("DEID-2", "DEID-5")
@pytest.mark.parametrize("profile", [Profile(), ALL_OPTIONS], ids=["basic", "all options"])
def test_an_identity_in_every_attribute_of_the_standard_is_in_no_byte_of_the_result(profile: Profile) -> None:
    planted_file = file({**everything(), **IDENTITY})
    assert set(leaked(planted_file.data, PLANTED)) == set(PLANTED)

    result = deidentified(planted_file.data, profile)

    assert leaked(result, PLANTED) == []
    dcmread(DicomBytesIO(result))


_CLASSES = sorted(_sop_classes())
_WITHOUT_MODULES = {"1.2.840.10008.5.1.4.1.1.9.100.1", "1.2.840.10008.5.1.4.1.1.9.100.2"}
"""Waveform presentation states: the source of the tables has no attributes of their modules."""


@pytest.mark.spec("DEID-2")
def test_a_sop_class_is_known_with_all_its_modules_or_refused() -> None:
    assert {sop_class for sop_class in _CLASSES if named(sop_class) is None} == _WITHOUT_MODULES
    refused, data = with_report(file({0x00080016: ("UI", min(_WITHOUT_MODULES))}).data)
    assert isinstance(refused, Refused)
    assert (refused.reason, data) == (Finding.UNKNOWN_CLASS, b"")


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.spec("DEID-2", "DEID-5")
def test_whatever_the_sop_class_no_attribute_lets_an_identity_through() -> None:
    elements: dict[int, Element] = {**everything(), **words_of_bytes(), **IDENTITY}
    for sop_class in set(_CLASSES) - _WITHOUT_MODULES:
        data = file({**elements, 0x00080016: ("UI", sop_class)}).data
        for options in (frozenset[Option](), frozenset(Option)):
            result = deidentified(data, Profile(options, burned_in=BurnedIn.REPORT))
            assert leaked(result, PLANTED) == [], sop_class


@pytest.mark.spec("DEID-2")
def test_an_identity_in_words_in_place_of_bytes_is_in_no_byte_of_the_result() -> None:
    data = file({**words_of_bytes(), **IDENTITY}).data
    for options in (frozenset[Option](), frozenset(Option)):
        assert leaked(deidentified(data, Profile(options)), PLANTED) == []


@pytest.mark.spec("DEID-2", "DEID-5")
@pytest.mark.parametrize("profile", [Profile(), ALL_OPTIONS], ids=["basic", "all options"])
def test_an_identity_in_the_items_of_every_sequence_is_in_no_byte_of_the_result(profile: Profile) -> None:
    sequences = [tag for tag, vr in _EVERYTHING if vr == "SQ"]
    some = {tag: one for tag, one in everything().items() if tag % 64 == 0 or tag in IDENTITY}
    content: dict[int, Element] = {tag: ("SQ", [some]) for tag in sequences}
    content |= {tag: ("SQ", [everything(), {0x00081140: ("SQ", [everything()])}]) for tag in (0x0040A730, 0x52009230)}

    result = deidentified(file({**content, **IDENTITY}).data, profile)

    assert leaked(result, PLANTED) == []


@pytest.mark.spec("DEID-2")
def test_what_is_not_of_the_subject_but_not_known_to_be_harmless_goes_too() -> None:
    stranger = {tag: one for tag, one in everything().items() if tag not in IDENTITY}

    result = deidentified(file(stranger).data)

    assert leaked(result, (WORD, SECOND, DATE)) == []


@pytest.mark.spec("DEID-2")
def test_preamble_file_meta_padding_overlays_curves_icons_and_private_blocks_are_gone() -> None:
    secret = f"{WORD}{NUMBER}".encode()
    hidden = file(
        {
            0x00090010: ("LO", WORD),
            0x00091001: ("LO", f"{WORD}^{SECOND}"),
            0x00091002: ("UN", secret),
            0x00091003: ("SQ", [{0x00100010: ("PN", WORD)}]),
            0x00880200: ("SQ", [{0x00280010: ("US", struct.pack("<H", 1)), 0x7FE00010: ("OW", secret)}]),
            0x50000005: ("US", struct.pack("<H", 1)),
            0x50003000: ("OW", secret),
            0x50002500: ("LO", WORD),
            0x60000010: ("US", struct.pack("<H", 1)),
            0x60003000: ("OW", secret),
            0x60004000: ("LT", WORD),
            0x60020022: ("LO", SECOND),
            0xFFFAFFFA: ("SQ", [{0x04000310: ("OB", secret)}]),
            0xFFFCFFFC: ("OB", secret),
        },
        preamble=(WORD * 16).encode()[:128],
    )
    start = hidden.data.index(b"DICM") + 4
    with_ae = _with_meta(hidden, start, WORD)
    for profile in (Profile(), ALL_OPTIONS):
        result = deidentified(with_ae, profile)
        assert leaked(result, (WORD, SECOND, NUMBER)) == []
        assert result[:128] == bytes(128)


def _with_meta(hidden: File, start: int, text: str) -> bytes:
    """The file with more in its file meta information: who sent it, and what they liked to add."""
    group_length = struct.unpack_from("<L", hidden.data, start + 8)[0]
    end = start + 12 + group_length
    value = text.encode().ljust(16)
    more = b"".join(
        struct.pack("<HH2sH", 0x0002, element, vr, len(value)) + value
        for element, vr in ((0x0016, b"AE"), (0x0017, b"AE"), (0x0018, b"AE"))
    )
    more += struct.pack("<HH2sHL", 0x0002, 0x0102, b"OB", 0, len(value)) + value
    head = bytearray(hidden.data[:end])
    struct.pack_into("<L", head, start + 8, group_length + len(more))
    return bytes(head) + more + hidden.data[end:]


@pytest.mark.spec("DEID-2", "DEID-5")
def test_numbers_that_spell_a_name_or_are_an_identifier_do_not_stay() -> None:
    number = int(NUMBER)
    elements: dict[int, Element] = {
        0x00280106: ("US", WORD.encode()),
        0x00281101: ("US", WORD.encode()),
        0x00289001: ("UL", struct.pack("<L", number)),
        0x00189087: ("FD", struct.pack("<d", number)),
        0x00201209: ("IS", NUMBER),
        0x00180050: ("DS", f"{NUMBER}.0"),
        0x00280120: ("US", struct.pack("<H", 63)),
    }

    result = deidentified(file({**elements, **IDENTITY}).data, ALL_OPTIONS)

    read = dcmread(DicomBytesIO(result))
    assert leaked(result, PLANTED) == []
    assert struct.pack("<L", number) not in result
    assert struct.pack("<d", number) not in result
    assert read.PixelPaddingValue == 63


@pytest.mark.spec("DEID-2", "DEID-5")
def test_numbers_of_any_count_and_safe_private_ones_spell_nobody() -> None:
    name, other = WORD.encode(), b"Somebodyelse...."
    elements: dict[int, Element] = {
        0x00189314: ("FD", name),
        0x00280009: ("AT", name),
        0x00190010: ("LO", "SIEMENS MR HEADER"),
        0x0019100C: ("FL", other),
        0x0019100E: ("FD", struct.pack("<3d", 1 / 3, 0.5, -2 / 3)),
        0x00191027: ("SL", name),
    }
    multi_frame: Element = ("UI", "1.2.840.10008.5.1.4.1.1.2.1")

    result = deidentified(file({**elements, **IDENTITY, 0x00080016: multi_frame}).data, ALL_OPTIONS)

    read = dcmread(DicomBytesIO(result))
    assert leaked(result, (*PLANTED, "Somebodyelse")) == []
    assert read[0x0019100E].value == [1 / 3, 0.5, -2 / 3]


@pytest.mark.spec("DEID-5")
def test_a_short_identifier_takes_no_size_of_the_image_along() -> None:
    source = datasets.ct(PatientID="8", AccessionNumber="1024", RescaleIntercept="1024", NumberOfFrames="1")

    read = dcmread(DicomBytesIO(deidentified(datasets.part10(source), ALL_OPTIONS)))

    assert (read.Rows, read.RescaleIntercept, read.NumberOfFrames) == (8, 1024, 1)


@pytest.mark.spec("DEID-5")
@pytest.mark.parametrize(
    ("character_set", "name", "codec"),
    [
        ("ISO_IR 100", "Müller^Jürgen", "latin-1"),
        ("ISO_IR 144", "Люкceмбypг", "iso8859-5"),
        ("ISO_IR 192", "Ζεύς^Ὀλύμπιος", "utf-8"),
        ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎", "iso2022_jp"),
        ("GB18030", "Wang^XiaoDong=王^小东", "gb18030"),
    ],
)
def test_names_of_any_script_are_found_in_texts_that_stay(character_set: str, name: str, codec: str) -> None:
    raw = name.encode(codec)
    parts = [part for group in name.split("=") for part in group.split("^")]
    data = file(
        {
            0x00080005: ("CS", character_set),
            0x00080070: ("LO", raw),
            0x00081010: ("SH", name.split("^", maxsplit=1)[0].encode(codec)),
            0x00081030: ("LO", b"Chest " + raw),
            0x00100010: ("PN", raw),
        }
    ).data

    result = deidentified(data, ALL_OPTIONS)

    assert [part for part in parts if part.encode(codec) in result or part.encode() in result] == []


@pytest.mark.spec("DEID-5")
def test_a_date_of_the_study_is_found_however_it_is_written() -> None:
    written = ("1963-08-17", "17.08.1963", "08/17/1963", "17081963", "630817", "1963 08 17", "17 Aug 1963")
    for text in written:
        changed: dict[int, Element] = dict.fromkeys((528432, 528446, 1577008), ("LO", f"Chest {text}"))
        changed |= {0x00081010: ("SH", text), 0x00100030: ("DA", DATE)}
        assert leaked(deidentified(file(changed).data, ALL_OPTIONS), (text, text[:4] + text[-2:])) == [], text


def _items(depth: int) -> st.SearchStrategy[dict[int, Element]]:
    leaves = st.sampled_from([tag for tag, vr in _EVERYTHING if vr != "SQ" and planted(vr)])
    sequences = st.sampled_from([tag for tag, vr in _EVERYTHING if vr == "SQ"])
    leaf = st.dictionaries(leaves, st.none(), max_size=6).map(
        lambda tags: {tag: one for tag in tags if (one := planted(data_elements()[tag][1])) is not None}
    )
    if not depth:
        return leaf
    nested = st.dictionaries(
        sequences, st.lists(_items(depth - 1), max_size=2).map(lambda items: ("SQ", items)), max_size=3
    )
    return st.tuples(leaf, nested).map(lambda both: {**both[0], **both[1]})


_PROFILES = st.builds(Profile, options=st.frozensets(st.sampled_from(Option)), burned_in=st.sampled_from(BurnedIn))


@pytest.mark.spec("DEID-2", "DEID-5")
@settings(deadline=None, max_examples=60)
@given(elements=_items(3), profile=_PROFILES)
def test_nested_data_sets_under_any_options_tell_nobody(elements: dict[int, Element], profile: Profile) -> None:
    data = file({**elements, **IDENTITY}).data

    result = deidentified(data, profile)

    assert leaked(result, PLANTED) == []
    read = dcmread(DicomBytesIO(result))
    assert read.PatientIdentityRemoved == "YES"
    assert deidentified(data, profile) == result
    tags = [int(tag) for tag in read.keys()]  # noqa: SIM118 - a pydicom data set is no dictionary
    assert tags == sorted(tags)
