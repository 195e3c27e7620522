from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dicom.part10.value_representations import VALUE_REPRESENTATIONS
from shared.dicom.plain_values import PLAIN_DECIMALS, PLAINLY_VALID
from shared.dicom.validation import minimum, multiplicity, plural_elements, strict

TAGS = {
    "AE": 0x00080054,
    "AS": 0x00101010,
    "CS": 0x00080060,
    "DA": 0x00080020,
    "DS": 0x00180050,
    "DT": 0x0008002A,
    "FD": 0x00189089,
    "FL": 0x00089459,
    "IS": 0x00200013,
    "LO": 0x00100020,
    "LT": 0x001021B0,
    "PN": 0x00100010,
    "SH": 0x00080050,
    "SL": 0x00186020,
    "SS": 0x00189219,
    "ST": 0x00080081,
    "TM": 0x00080030,
    "UC": 0x00080119,
    "UI": 0x0020000D,
    "UL": 0x00186016,
    "UR": 0x00081190,
    "US": 0x00280010,
    "UT": 0x0040A160,
}

A64, A65 = "a" * 64, "a" * 65

MINIMUM = [
    ("AE", "SIXTEEN_LETTERS_", "SEVENTEEN_LETTERS"),
    ("CS", "any case, 16 c\x00h", "seventeen charact"),
    ("SH", "1" * 16, "1" * 17),
    ("AS", "012Y", "12Y"),
    ("AS", "XXXX", ""),
    ("AS", "012Y", "    "),
    ("DA", "20240229", "20230229"),
    ("DA", "20240101 ", "2024-01-01"),
    ("DA", "", "20240101-20240102"),
    ("DA", "19000101", "NotADate"),
    ("DA", "19000101", "２０２４０１０１"),
    ("DT", "2024", "202"),
    ("DT", "20240101120000.123456+0100", "20240101250000"),
    ("TM", "2359", "2460"),
    ("TM", "120000.123456", "12:00:00"),
    ("IS", "-2147483648", "2147483648"),
    ("IS", " 12 ", "twelve"),
    ("LO", A64, A65),
    ("LO", "12,3", "a\\b"),
    ("LO", "\x1b$B12", "tab\t"),
    ("LO", f"{A64} ", "abc\x00"),
    ("PN", "A^B^C^D^E=F=G", "A=B=C=D"),
    ("PN", A64, A65),
    ("PN", f"{A64}={A64}={A64}", "A^B^C^D^E^F"),
    ("PN", "\x1b$B", "Doe\x07"),
    ("UI", "1.02..3", "abc.123"),
    ("UI", "1.2.3 ", "11|"),
    ("UI", "1.2.3\x00", "1." * 32 + "1"),
    ("UI", "", "1.2."),
    ("FD", "12345678", "1234567"),
    ("FL", "1234", "123"),
    ("SL", "1234", ""),
    ("UL", "1234", "123"),
    ("SS", "12", "1"),
    ("US", "12", ""),
]


@pytest.mark.spec("VAL-1", "VAL-2", "VAL-10", "VAL-11", "UID-1", "UID-2")
@pytest.mark.parametrize(("vr", "good", "bad"), MINIMUM)
def test_the_minimum_checker_judges_the_first_value(vr: str, good: str, bad: str) -> None:
    assert minimum(TAGS[vr], vr, good, trim_nul=False) is None
    explanation = minimum(TAGS[vr], vr, bad, trim_nul=False)
    assert explanation is not None
    assert f"does not validate VR {vr}: " in explanation
    assert not bad.strip(" \x00") or bad not in explanation


@pytest.mark.parametrize("vr", ["DS", "LT", "ST", "UC", "UR", "UT"])
def test_the_minimum_checker_lets_other_vrs_pass(vr: str) -> None:
    assert minimum(TAGS[vr], vr, "\x00 anything\\ at all " * 1000, trim_nul=False) is None


@pytest.mark.parametrize("vr", ["AE", "CS", "SH", "DA", "DT", "TM", "IS", "LO", "PN", "UI", "LT"])
def test_the_minimum_checker_lets_empty_values_pass(vr: str) -> None:
    assert minimum(TAGS[vr], vr, "", trim_nul=False) is None


@pytest.mark.spec("VAL-1", "VAL-9")
@pytest.mark.parametrize("vr", ["LO", "PN", "DA"])
def test_v1_refuses_a_nul_that_v2_trims(vr: str) -> None:
    value = {"LO": "abc\x00", "PN": "Doe^Jane\x00\x00", "DA": "20240131\x00"}[vr]
    assert minimum(TAGS[vr], vr, value, trim_nul=False) is not None
    assert minimum(TAGS[vr], vr, value, trim_nul=True) is None


@pytest.mark.spec("VAL-9")
def test_a_nul_inside_a_value_is_a_control_character_in_both_versions() -> None:
    assert minimum(TAGS["LO"], "LO", "\x000123\x00", trim_nul=False) is not None
    assert minimum(TAGS["LO"], "LO", "\x000123\x00", trim_nul=True) is not None
    assert minimum(TAGS["LO"], "LO", "\x00\x00", trim_nul=True) is None


def test_a_minimum_explanation_names_the_keyword_and_the_vr() -> None:
    explanation = minimum(TAGS["DA"], "DA", "tomorrow", trim_nul=True)
    assert explanation is not None
    assert explanation.startswith("StudyDate does not validate VR DA: ")


def test_the_minimum_checker_wants_the_vr_of_the_dictionary() -> None:
    assert minimum(TAGS["LO"], "SH", "P-1", trim_nul=True) is not None
    assert minimum(0x00280106, "US", "12", trim_nul=True) is None
    assert minimum(0x00280106, "SS", "12", trim_nul=True) is None
    assert minimum(0x00280106, "UL", "1234", trim_nul=True) is not None
    assert minimum(0x00091001, "LO", "private", trim_nul=True) is None


STRICT = {
    "AE": (["", "AE", " AE ", "SIXTEEN_LETTERS_"], ["  ", "SEVENTEEN_LETTERS", "tab\t", "A\x1bB", "a\\b"]),
    "AS": (["", "012Y", "001D", "018M", "006W"], ["12Y", "012y", "0012Y", "012", "012X"]),
    "CS": (["", "ORIGINAL", "A_1 B", "0" * 16], ["lower", "0" * 17, "A-B", "É", "X\x00X"]),
    "DA": (
        ["", "20240229", "20240131  ", "20240101-20240201", "20240101-", "-20240101"],
        ["20240230", "20230229", "20241301", "20240132", "2024-01-01", "2024", "-", "20240101-20240230", "--20240101"],
    ),
    "DS": (
        ["", "1", "-1.5", "+.5", "5.", "1e10", "-1.5E-3", " 1.5 ", "1234567890.12345"],
        ["one", "1,5", "1.2.3", "0x10", "nan", "inf", "1e", "12345678901234567", "1_000", "--1"],
    ),
    "DT": (
        [
            *(
                "",
                "2024",
                "202401",
                "20240131",
                "2024013112",
                "202401311259",
                "20240131125960",
                "20240131125959.123456",
            ),
            *("20240131125959.1+1400", "2024-1200", "2024+0000", "2024-2025", "-2024", "2024-", "2024+0100-2025+0100"),
            "2024 ",
        ],
        [
            *("202", "20241", "202413", "20240132", "2024013124", "202401311260", "20240131125961"),
            *("20240131125959.1234567", "2024+1401", "2024-0000", "2024+9900", "T2024", "-"),
        ],
    ),
    "IS": (
        ["", "0", "-2147483648", "+2147483647", " 12 ", "0000000000000012"],
        ["2147483648", "-2147483649", "1.5", "one", "1_0", "９", "+", "9" * 5000],
    ),
    "LO": (["", A64, "é" * 64, "\x1b$B", f"{A64} "], [A65, "a\\b", "a\nb", "a\x00b", "\x85"]),
    "LT": (["", "a\\b\n" * 2560], ["a" * 10241]),
    "PN": (
        ["", "Doe^Jane", "A^B^C^D^E=F=G", f"{A64}={A64}={A64}", "^^^^", "山田^太郎=\x1b$B"],
        ["A=B=C=D", A65, "A^B^C^D^E^F", "Doe\n", "Doe\x00^Jane"],
    ),
    "SH": (["", "1" * 16, "\x1b$B"], ["1" * 17, "a\\b", "a\nb"]),
    "ST": (["", "a\n\\" * 341], ["a" * 1025]),
    "TM": (
        ["", "12", "1259", "235960", "125959.1", "125959.123456", "12-13", "12-", "-12", "125959 "],
        ["1", "24", "1260", "125961", "12:00", "125959.1234567", "125959.", "-", "12.5"],
    ),
    "UI": (
        ["", "0", "1.2.840.10008.1.2", "1.0.3", "1.2.3  ", "1." * 31 + "1", "1.2\x00", "2." + "1" * 62],
        ["1.02", "01.2", "1..2", ".1", "1.", "1.2a", "1." * 32 + "1", "1,2", "1.2\x003"],
    ),
}


@pytest.mark.spec("VAL-3", "VAL-11", "IDX-1")
@pytest.mark.parametrize(("vr", "value"), [(vr, value) for vr, (good, _) in STRICT.items() for value in good])
def test_the_strict_checker_accepts(vr: str, value: str) -> None:
    assert strict(vr, [value]) is None
    assert strict(vr, [value, value]) is None


@pytest.mark.spec("VAL-3", "VAL-9", "VAL-11", "STOW-36")
@pytest.mark.parametrize(("vr", "value"), [(vr, value) for vr, (_, bad) in STRICT.items() for value in bad])
def test_the_strict_checker_objects(vr: str, value: str) -> None:
    explanation = strict(vr, [value])
    assert explanation is not None
    assert explanation.startswith(f"Content does not validate VR {vr}: ")
    assert len(value) < 4 or value not in explanation
    assert strict(vr, ["", value, "later"]) == explanation
    plain = PLAINLY_VALID.get(vr)
    assert plain is None or "\\" in value or not plain(value)


@pytest.mark.parametrize(
    "vr", ["AT", "FD", "FL", "OB", "SL", "SQ", "SS", "SV", "UC", "UL", "UN", "UR", "US", "UT", "UV"]
)
def test_other_vrs_always_pass_the_strict_checker(vr: str) -> None:
    assert strict(vr, ["\x00\x01 anything\\"]) is None


@pytest.mark.spec("VAL-9")
@pytest.mark.parametrize("vr", sorted(STRICT))
def test_trailing_nuls_never_count(vr: str) -> None:
    assert strict(vr, ["\x00\x00"]) is None
    for value in STRICT[vr][0]:
        assert strict(vr, [f"{value}\x00\x00"]) is None


@pytest.mark.parametrize(
    ("tag", "right", "wrong"),
    [
        (0x00100020, (0, 1), (2, 100)),  # 1
        (0x00080008, (0, 2, 3, 100), (1,)),  # 2-n
        (0x00200037, (0, 6), (1, 5, 7)),  # 6
        (0x00200032, (0, 3), (2, 4)),  # 3
        (0x00281055, (0, 1, 5), ()),  # 1-n
        (0x30060050, (0, 3, 6, 300), (1, 2, 4)),  # 3-3n
        (0x00280120, (0, 1), (2,)),  # 1, of a choice of VRs
        (0x60020050, (0, 2), (1, 3)),  # 2, of a repeating group
        (0x00091001, (0, 1, 5), ()),  # private
    ],
)
@pytest.mark.spec("VAL-3")
def test_the_number_of_values_is_as_the_dictionary_says(tag: int, right: tuple[int], wrong: tuple[int]) -> None:
    assert [multiplicity(tag, count) for count in right] == [None] * len(right)
    for count in wrong:
        assert str(count) in str(multiplicity(tag, count))


def test_plural_elements_are_those_that_one_value_is_too_few_for() -> None:
    assert {0x00200037, 0x00200032, 0x00080008, 0x60020050} <= plural_elements()
    assert not {0x00100020, 0x00281055} & plural_elements()
    assert all(multiplicity(tag, 1) for tag in plural_elements())


def join(values: list[Decimal]) -> str:
    return "\\".join(map(str, values))


CHARACTERS = st.text(
    st.sampled_from("0123456789.-+^=eE ABCDMYWZaé_\\\x00\x1b\n\x7f\x85２") | st.characters(), max_size=70
)


@settings(max_examples=200)
@given(CHARACTERS)
def test_what_is_plainly_valid_is_valid(value: str) -> None:
    for vr, plainly in PLAINLY_VALID.items():
        if plainly(value) and (vr in {"LT", "ST"} or "\\" not in value):
            assert strict(vr, [value]) is None, vr


@settings(max_examples=200)
@given(st.text("0123456789+-.\\ ", max_size=40) | st.lists(st.decimals(-9999999, 9999999, places=3)).map(join))
def test_plain_decimals_are_valid_numbers(text: str) -> None:
    values = text.split("\\")
    if PLAIN_DECIMALS(text):
        assert strict("DS", values) is None
        assert all(isinstance(float(value), float) for value in values)
        many = "\\".join(values * 20)
        assert VALUE_REPRESENTATIONS["DS"].from_text(many) == [float(value) for value in values * 20]


@settings(max_examples=200)
@given(CHARACTERS, st.booleans())
def test_no_value_makes_a_checker_fail(value: str, trim_nul: bool) -> None:
    for vr, tag in TAGS.items():
        assert isinstance(minimum(tag, vr, value, trim_nul=trim_nul), str | None)
        assert isinstance(strict(vr, [value]), str | None)
