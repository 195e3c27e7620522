import pytest

from shared.deidentification.known_values import KnownValues
from shared.deidentification.words import Cleaned, Texts

_SOMEBODY = KnownValues.of(
    {
        "00080050": {"vr": "SH", "Value": ["AC-77/3"]},
        "00080020": {"vr": "DA", "Value": ["20240131"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Head^Li^J", "Ideographic": "山田^太郎"}]},
        "00100020": {"vr": "LO", "Value": ["4711"]},
        "00400275": {"vr": "SQ", "Value": [{"00080090": {"vr": "PN", "Value": [{"Alphabetic": "Ångström"}]}}, None]},
    }
)
TEXTS = Texts(_SOMEBODY)
NOBODY = Texts(KnownValues())


@pytest.mark.spec("DEID-2", "DEID-5")
@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("CT ABDOMEN W CONTRAST", "CT ABDOMEN W CONTRAST"),
        ("T2 tra 5mm B30f *fl2d1", "T2 tra 5mm B30f *fl2d1"),
        ("Siemens Healthineers", "Siemens Healthineers"),
        ("Thorax for Zquxmorf, Wendelgard", "Thorax for ***"),
        ("Telephone 0361 748 22", "Telephone ***"),
        ("seen 3 May 88", "seen ***"),
        ("12.05.1970", ""),
        ("10:30:15", ""),
        ("2.25.123456", ""),
        ("zquxmorf@example.org", ""),
        ("", ""),
    ],
)
def test_only_words_of_the_standard_and_small_numbers_stay(text: str, left: str) -> None:
    assert NOBODY.clean(text).text == left


@pytest.mark.spec("DEID-5")
@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("CT head", "CT ***"),
        ("li lobe", "*** lobe"),
        ("LIVER", "LIVER"),
        ("4711", ""),
        ("room 4711a", "room ***"),
        ("ac77-3 thorax", "*** thorax"),
        ("angstrom lung", "*** lung"),
        ("山田 thorax", "*** thorax"),
        ("thorax 31.1.24", "thorax ***"),
    ],
)
def test_words_of_the_standard_go_where_they_name_the_subject(text: str, left: str) -> None:
    assert TEXTS.clean(text) == Cleaned(left, identified=left != text)


@pytest.mark.spec("DEID-5")
def test_a_retained_text_loses_no_more_than_what_names_the_subject() -> None:
    assert TEXTS.without_known("Zquxmorf  station 1234") == Cleaned("Zquxmorf  station 1234", identified=False)
    assert TEXTS.without_known("Zquxmorf station 4711") == Cleaned("Zquxmorf station ***", identified=True)
    assert TEXTS.without_known("31 Jan 2024") == Cleaned("", identified=True)


@pytest.mark.spec("DEID-2")
@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("ORIGINAL", "ORIGINAL"),
        ("YBR_FULL_422", "YBR_FULL_422"),
        ("ABDOMEN PELVIS", "ABDOMEN PELVIS"),
        ("M_FFE", "M_FFE"),
        ("ZQUXMORF", ""),
        ("lower", ""),
        ("SEVENTEEN_LETTERS", ""),
        ("19630817", ""),
    ],
)
def test_a_coded_string_is_a_term_or_made_of_words(text: str, left: str) -> None:
    assert NOBODY.code(text).text == left


@pytest.mark.spec("DEID-5")
def test_of_a_data_set_with_more_names_than_can_be_looked_for_no_text_stays() -> None:
    crowd = [{"Alphabetic": f"Name{number:x}^{number}"} for number in range(20_000)]
    known = KnownValues.of({"00100010": {"vr": "PN", "Value": crowd}})
    assert len(known.names) < 600
    assert Texts(known).clean("CT ABDOMEN").text == Texts(known).without_known("CT-7").text == ""
    assert Texts(known).code("ZZ").text == ""
    assert not KnownValues.of({"00100010": {"vr": "PN", "Value": crowd[:200]}}).too_many


@pytest.mark.spec("DEID-5")
def test_of_very_much_text_nothing_stays() -> None:
    texts = Texts(KnownValues())
    assert texts.clean("lung " * 1000).text
    assert texts.clean("lung " * 1_000_000).text == ""
    assert texts.clean("liver").text == ""
