"""The Native DICOM Model: what it looks like, that it says what JSON says, and what is refused."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dicomweb import xml_model
from shared.dicomweb.xml_model import NAMESPACE, dumps, loads
from shared.errors import InvalidRequest, TooLarge


def document(inner: str) -> bytes:
    return f'<?xml version="1.0"?><NativeDicomModel xmlns="{NAMESPACE}">{inner}</NativeDicomModel>'.encode()


def attribute(inner: str, tag: str = "00100020", vr: str = "LO", more: str = "") -> bytes:
    return document(f'<DicomAttribute tag="{tag}" vr="{vr}"{more}>{inner}</DicomAttribute>')


@pytest.mark.spec("ACC-5")
def test_a_data_set_is_written_as_the_standard_shows_it():
    dataset = {
        "00080060": {"vr": "CS", "Value": ["MR"]},
        "00081140": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2"]}}, {}]},
        "00090010": {"vr": "LO", "Value": ["ACME & CO"]},
        "00091001": {"vr": "LO", "Value": ["private"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane^^Dr", "Ideographic": "山^花"}]},
        "00200032": {"vr": "DS", "Value": [-1.5, None, 3]},
        "00420011": {"vr": "OB", "BulkDataURI": 'https://a/b?c="d"&e'},
        "00420012": {"vr": "LO"},
    }
    assert dumps(dataset).decode() == (
        f'<?xml version="1.0" encoding="UTF-8"?><NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">'
        '<DicomAttribute tag="00080060" vr="CS" keyword="Modality"><Value number="1">MR</Value></DicomAttribute>'
        '<DicomAttribute tag="00081140" vr="SQ" keyword="ReferencedImageSequence"><Item number="1">'
        '<DicomAttribute tag="00081155" vr="UI" keyword="ReferencedSOPInstanceUID"><Value number="1">1.2</Value>'
        '</DicomAttribute></Item><Item number="2"></Item></DicomAttribute>'
        '<DicomAttribute tag="00090010" vr="LO"><Value number="1">ACME &amp; CO</Value></DicomAttribute>'
        '<DicomAttribute tag="00091001" vr="LO" privateCreator="ACME &amp; CO"><Value number="1">private</Value>'
        "</DicomAttribute>"
        '<DicomAttribute tag="00100010" vr="PN" keyword="PatientName"><PersonName number="1">'
        "<Alphabetic><FamilyName>Doe</FamilyName><GivenName>Jane</GivenName><NamePrefix>Dr</NamePrefix></Alphabetic>"
        "<Ideographic><FamilyName>山</FamilyName><GivenName>花</GivenName></Ideographic></PersonName></DicomAttribute>"
        '<DicomAttribute tag="00200032" vr="DS" keyword="ImagePositionPatient"><Value number="1">-1.5</Value>'
        '<Value number="2"></Value><Value number="3">3</Value></DicomAttribute>'
        '<DicomAttribute tag="00420011" vr="OB" keyword="EncapsulatedDocument">'
        '<BulkData uri="https://a/b?c=&quot;d&quot;&amp;e"/></DicomAttribute>'
        '<DicomAttribute tag="00420012" vr="LO" keyword="MIMETypeOfEncapsulatedDocument"></DicomAttribute>'
        "</NativeDicomModel>"
    )


def test_what_xml_cannot_say_is_left_out_or_replaced():
    dataset = {"00100020": {"vr": "LO", "Value": ["a\0", "b\0c\x1bd", "tab\tand\r\nlines"]}}
    assert loads(dumps(dataset))["00100020"]["Value"] == ["a", "b\ufffdc\ufffdd", "tab\tand\r\nlines"]


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=8)
parts = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff^="), max_size=5)
names = st.lists(parts, min_size=1, max_size=5).map("^".join).map(lambda name: name.rstrip("^"))
groups = st.dictionaries(st.sampled_from(["Alphabetic", "Ideographic", "Phonetic"]), names.filter(bool), max_size=3)


def element(vr: str, values: st.SearchStrategy) -> st.SearchStrategy:
    lists = st.lists(values, min_size=1, max_size=4)
    return lists.map(lambda found: {"vr": vr, "Value": found}) | st.just({"vr": vr})


plain = st.one_of(
    element("LO", texts.map(lambda text: text or None)),
    element("UC", texts.map(lambda text: text or None)),
    element("IS", st.integers(-(2**31), 2**31).map(str)),
    element("US", st.integers(0, 65535)),
    element("FD", st.floats(allow_nan=False, allow_infinity=False)),
    element("AT", st.text(string.hexdigits.upper()[:16], min_size=8, max_size=8)),
    element("PN", groups.map(lambda found: found or None)),
    st.builds(lambda uri: {"vr": "OW", "BulkDataURI": uri}, texts.filter(bool)),
    st.just({"vr": "OB", "InlineBinary": "AAEC"}),
)


def ordered(dataset: dict) -> dict:
    return {
        key: {**value, "Value": [ordered(item) for item in value["Value"]]}
        if value["vr"] == "SQ" and "Value" in value
        else value
        for key, value in sorted(dataset.items())
    }


tags = (
    st.integers(0x0008, 0x7FDF)
    .filter(lambda group: group % 2 == 0)
    .flatmap(lambda group: st.integers(1, 0xFFFF).map(lambda number: f"{group:04X}{number:04X}"))
)
datasets = st.recursive(
    st.dictionaries(tags, plain, max_size=5),
    lambda inner: st.dictionaries(tags, plain | element("SQ", inner), max_size=4),
    max_leaves=4,
).map(ordered)


@pytest.mark.spec("ACC-5")
@given(datasets)
def test_what_is_written_is_read_back(dataset):
    found = loads(dumps(dataset))
    assert found == dataset
    assert list(found) == list(dataset)


@given(st.binary(max_size=200) | texts.map(str.encode))
def test_nothing_but_a_refusal_comes_of_other_bytes(data):
    with pytest.raises(InvalidRequest):
        loads(data)


def test_numbers_that_are_text_in_a_file_keep_their_digits():
    assert loads(attribute('<Value number="1">1.500</Value>', "00200032", "DS"))["00200032"]["Value"] == ["1.500"]


def test_values_are_in_the_order_of_their_numbers():
    found = loads(attribute('<Value number="3">c</Value><Value number="1">a</Value>'))
    assert found["00100020"]["Value"] == ["a", None, "c"]
    again = loads(attribute('<Value number="1">a</Value><Value number="1">b</Value><Value>c</Value>'))
    assert again["00100020"]["Value"] == ["b", "c"]
    late = loads(attribute('<Value>a</Value><Value number="4">d</Value><Value number="2">b</Value><Value>e</Value>'))
    assert late["00100020"]["Value"] == ["a", "b", None, "e"]


def test_a_tag_may_be_left_to_its_keyword_and_a_vr_to_the_dictionary():
    found = loads(document('<DicomAttribute keyword="PatientID"><Value number="1">1</Value></DicomAttribute>'))
    assert found == {"00100020": {"vr": "LO", "Value": ["1"]}}


def test_a_namespace_prefix_and_unknown_elements_do_not_matter():
    inner = '<n:DicomAttribute tag="00100020" vr="LO"><n:Value number="1">1</n:Value><x/></n:DicomAttribute>'
    data = f'<n:NativeDicomModel xmlns:n="{NAMESPACE}">{inner}<y>text</y></n:NativeDicomModel>'.encode()
    assert loads(data) == {"00100020": {"vr": "LO", "Value": ["1"]}}


@pytest.mark.parametrize("tag", ["00091001", "00090001"])
def test_a_private_element_brings_its_creator(tag):
    found = loads(attribute('<Value number="1">1</Value>', tag, more=' privateCreator="ACME"'))
    assert found == {
        "00090010": {"vr": "LO", "Value": ["ACME"]},
        "00091001": {"vr": "LO", "Value": ["1"]},
    }


def test_two_private_creators_get_two_blocks():
    inner = "".join(
        f'<DicomAttribute tag="00090001" vr="LO" privateCreator="{name}"><Value number="1">{name}</Value>'
        "</DicomAttribute>"
        for name in ("ACME", "OTHER")
    )
    found = loads(document(inner))
    assert {key: element["Value"] for key, element in found.items()} == {
        "00090010": ["ACME"],
        "00090011": ["OTHER"],
        "00091001": ["ACME"],
        "00091101": ["OTHER"],
    }


@pytest.mark.parametrize(
    "data",
    [
        b"<other/>",
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><NativeDicomModel>&b;</NativeDicomModel>',
        b'<!DOCTYPE NativeDicomModel SYSTEM "http://example.org/a.dtd"><NativeDicomModel/>',
        document('<DicomAttribute vr="LO"/>'),
        document('<DicomAttribute tag="0010" vr="LO"/>'),
        attribute('<Value number="0">1</Value>'),
        attribute('<Value number="99999999">1</Value>'),
        attribute('<Value number="9999">1</Value>'),
        attribute('<Value number="x">1</Value>'),
        attribute("<BulkData/>", "7FE00010", "OB"),
        attribute("") + b"<more/>",
        document('<DicomAttribute tag="00100020" vr="LO"/><DicomAttribute tag="00100020" vr="SH"/>'),
        document(
            "".join(['<DicomAttribute tag="00400275" vr="SQ"><Item number="1">'] * 70) + "</Item></DicomAttribute>" * 70
        ),
    ],
)
def test_what_is_no_native_model_is_refused(data):
    with pytest.raises(InvalidRequest):
        loads(data)


@pytest.mark.spec("STOW-16")
@pytest.mark.parametrize(
    "inner", ["<Value>1</Value>", "<PersonName/>", '<BulkData uri="a"/>', "<Item/>", "<InlineBinary/>"]
)
@pytest.mark.parametrize(
    "unknown", ["<f>{}</f>", "<Value>{}</Value>", "<f><NativeDicomModel>{}</NativeDicomModel></f>"]
)
def test_what_is_inside_something_unknown_is_passed_over(unknown, inner):
    inside = f'<DicomAttribute tag="00100020" vr="LO">{inner}</DicomAttribute>'
    known = '<DicomAttribute tag="00100010" vr="LO"><Value>x</Value></DicomAttribute>'
    assert loads(document(unknown.format(inside) + known)) == {"00100010": {"vr": "LO", "Value": ["x"]}}


@pytest.mark.spec("STOW-16")
@pytest.mark.parametrize("encoding", ["x-foo", "utf-7", "rot13", "idna", "punycode", "hex"])
def test_an_encoding_that_is_none_of_text_is_refused(encoding):
    with pytest.raises(InvalidRequest):
        loads(document("").replace(b'"1.0"', f'"1.0" encoding="{encoding}"'.encode()))


@pytest.mark.spec("STOW-46")
def test_a_document_of_too_many_elements_is_refused(monkeypatch):
    monkeypatch.setattr(xml_model, "_MOST_ELEMENTS", 1000)
    assert loads(attribute("<Value/>" * 900))
    for flood in ("<Value/>" * 1100, "<a/>" * 1100, "<a>" * 1100):
        with pytest.raises(TooLarge):
            loads(attribute(flood))
