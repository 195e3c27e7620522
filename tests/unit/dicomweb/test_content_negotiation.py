import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dicomweb.content_negotiation import (
    Accept,
    MediaType,
    accepts_problem,
    negotiate_data_sets,
    parse_accept,
    parse_content_type,
)
from shared.errors import NotAcceptable, UnsupportedMedia

SLIDE = (
    'multipart/related; type="image/jls"; transfer-syntax=1.2.840.10008.1.2.4.80, '
    'multipart/related; type="image/jp2"; transfer-syntax=1.2.840.10008.1.2.4.90, '
    'multipart/related; type="application/octet-stream"; transfer-syntax=*, '
    'multipart/related; type="image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.50'
)


@pytest.mark.spec("WADO-1")
@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        (
            "multipart/related; type=application/octet-stream; transfer-syntax=*",
            {"type": "application/octet-stream", "transfer-syntax": "*"},
        ),
        (
            'multipart/related; type="application/octet-stream"; transfer-syntax="*"',
            {"type": "application/octet-stream", "transfer-syntax": "*"},
        ),
        ('multipart/related; type="application/dicom"', {"type": "application/dicom"}),
        ('multipart/related; type="*/*"', {"type": "*/*"}),
        ("multipart/related;type=*/*", {"type": "*/*"}),
        ('Multipart/Related ; TYPE = "image/jls" ; ; q=0.5', {"type": "image/jls"}),
        (r'multipart/related; type="a\"b\\c"', {"type": 'a"b\\c'}),
        ('multipart/related; type="a, b; c=d"', {"type": "a, b; c=d"}),
        ("multipart/related; type=", {"type": ""}),
        ("multipart/related; type=first; type=second", {"type": "first"}),
    ],
)
def test_parameters_may_be_quoted_or_not(text, parameters):
    (value,) = parse_accept([text])

    assert (value.type, dict(value.parameters)) == ("multipart/related", parameters)


@pytest.mark.spec("WADO-1", "ACC-3")
def test_a_list_of_quoted_multipart_types_is_read_in_order():
    values = parse_accept([SLIDE])

    assert [(value.get("type"), value.get("transfer-syntax")) for value in values] == [
        ("image/jls", "1.2.840.10008.1.2.4.80"),
        ("image/jp2", "1.2.840.10008.1.2.4.90"),
        ("application/octet-stream", "*"),
        ("image/jpeg", "1.2.840.10008.1.2.4.50"),
    ]


@pytest.mark.spec("ACC-3")
def test_several_header_lines_are_one_list():
    assert [value.type for value in parse_accept(["image/png, ", "", "application/json"])] == [
        "image/png",
        "application/json",
    ]


def test_what_a_browser_sends_for_an_image_is_read():
    values = parse_accept(["image/jxl,image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"])

    assert [value.type for value in values][-2:] == ["image/*", "*/*"]
    assert [value.quality for value in values] == [1.0] * 6 + [0.8]


@pytest.mark.parametrize(("text", "quality"), [("1", 1.0), ("0", 0.0), ("0.", 0.0), (".2", 0.2), ("1.5", 1.0)])
def test_weights_are_read_as_clients_write_them(text, quality):
    assert parse_accept([f"*; q={text}"]) == [MediaType("*/*", {}, quality)]


@pytest.mark.spec("ACC-4")
@pytest.mark.parametrize(
    "text",
    [
        "application",
        "application/",
        "/json",
        "a/b c/d",
        'a/b; type="open',
        "a/b; q=high",
        "a/b; q=",
        "a/b; q=-1",
        "a/b; q=.",
        "a/b; c d",
        "\x00/json",
        "a/b/c",
    ],
)
def test_an_accept_header_that_cannot_be_read_is_not_acceptable(text):
    with pytest.raises(NotAcceptable) as refused:
        parse_accept([text])

    assert str(refused.value)


@settings(max_examples=200)
@given(st.text('ab/*;,="\\ q0.1+', max_size=30))
def test_hostile_text_raises_nothing_but_not_acceptable(text):
    try:
        values = parse_accept([text])
    except NotAcceptable:
        return
    assert all(0.0 <= value.quality <= 1.0 for value in values)


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["*/*", "application/dicom", "multipart/related", "image/*"]),
            st.dictionaries(st.sampled_from(["type", "transfer-syntax", "charset"]), st.text(max_size=8)),
            st.sampled_from([0.0, 0.25, 0.5, 1.0]),
        ),
        max_size=4,
    )
)
def test_reading_what_was_formatted_gives_it_back(values):
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    text = ", ".join(
        "; ".join([kind, *(f"{name}={quoted(value)}" for name, value in parameters.items()), f"q={quality}"])
        for kind, parameters, quality in values
    )

    assert parse_accept([text]) == [MediaType(*value) for value in values]


@pytest.mark.spec("ACC-4", "WADO-2")
@pytest.mark.parametrize("headers", [[], [""], [" , "]])
def test_a_client_that_says_nothing_accepts_everything(headers):
    assert Accept(tuple(headers)).types() == [MediaType("*/*")]


@pytest.mark.spec("ACC-6")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("accept=image%2Fjpeg", "image/jpeg"),
        ("PatientID=1&Accept=application/dicom+json", "application/dicom+json"),
        ("accept=multipart%2Frelated%3B%20type%3D%22application%2Fdicom%22", "multipart/related"),
        ("accept=", "text/html"),
        ("acceptance=image/png", "text/html"),
    ],
)
def test_the_accept_parameter_takes_precedence_over_the_header(query, expected):
    assert Accept(("text/html",), query).types()[0].type == expected


@pytest.mark.spec("ACC-6")
@pytest.mark.parametrize("separator", ["%3B+", "%3b++", ";+", "%3B%20"])
def test_a_blank_behind_a_separator_may_be_written_as_a_form_writes_it(separator):
    query = f'accept=multipart%2Frelated{separator}type="application/dicom+xml",+application/dicom+json'
    assert Accept((), query).types() == [
        MediaType("multipart/related", {"type": "application/dicom+xml"}),
        MediaType("application/dicom+json"),
    ]


@pytest.mark.spec("ACC-6", "ACC-4")
def test_an_accept_parameter_that_cannot_be_read_is_not_acceptable():
    with pytest.raises(NotAcceptable):
        Accept(("*/*",), "accept=nonsense").types()


@pytest.mark.spec("ACC-1", "ACC-2", "ACC-3")
@pytest.mark.parametrize(
    "text",
    [
        "application/dicom+json",
        "APPLICATION/DICOM+JSON",
        "application/json",
        "application/dicom+json, application/json",
        "application/*",
        "*/*",
        "application/json; charset=utf-8",
        "image/png, application/dicom+json;q=0.1",
        "application/json;q=0, application/dicom+json",
        "text/html, */*;q=0.1",
        'multipart/related; type="application/dicom+xml";q=0.5, application/dicom+json',
        "application/dicom+xml, application/dicom+json",
        "application/dicom+xml;q=0.5, */*;q=0.6",
    ],
)
def test_json_is_sent_to_a_client_that_accepts_it(text):
    assert negotiate_data_sets(parse_accept([text])) == "application/dicom+json"


@pytest.mark.spec("ACC-5")
@pytest.mark.parametrize(
    "text",
    [
        'multipart/related; type="application/dicom+xml"',
        "Multipart/Related; type=Application/DICOM+XML; transfer-syntax=*",
        "application/dicom+xml",
        'multipart/related; type="application/dicom+xml", */*',
        "application/dicom+json;q=0.5, application/dicom+xml",
        "application/dicom+json;q=0, application/dicom+xml;q=0.1",
        "application/dicom+xml;q=0.5, */*;q=0.1",
        "multipart/*",
        "application/dicom+json;q=0, multipart/*;q=0.1",
    ],
)
def test_xml_is_sent_to_a_client_that_prefers_it(text):
    assert negotiate_data_sets(parse_accept([text])) == "application/dicom+xml"


@pytest.mark.spec("ACC-4", "ERR-2")
@pytest.mark.parametrize(
    "text",
    [
        "application/dicom",
        "application/data",
        "image/png",
        "application/dicom+json+x",
        "application/dicom+xml;q=0",
        "multipart/related; type=application/dicom",
        "application/dicom+json;q=0",
        "application/dicom+json;q=0, */*",
        "*/*;q=0",
        "application/*;q=0, */*",
    ],
)
def test_json_is_refused_to_a_client_that_does_not_accept_it(text):
    with pytest.raises(NotAcceptable) as refused:
        negotiate_data_sets(parse_accept([text]))

    assert str(refused.value)


def test_a_content_type_is_read_with_its_parameters():
    value = parse_content_type('multipart/related; type="application/dicom"; boundary="a b"')

    assert (value.type, value.get("boundary")) == ("multipart/related", "a b")


@pytest.mark.spec("ERR-2")
@pytest.mark.parametrize("text", [None, "", "dicom", "*/*", "application/*", "a/b, c/d", "a/b; c d"])
def test_a_content_type_that_cannot_be_read_is_unsupported(text):
    with pytest.raises(UnsupportedMedia) as refused:
        parse_content_type(text)

    assert str(refused.value)


def test_problem_details_go_to_those_who_ask_for_them_by_name():
    assert accepts_problem(["application/dicom+json, application/problem+json"])
    assert not accepts_problem(["*/*", "application/*"])
    assert not accepts_problem(["application/problem+json;q=0"])
    assert not accepts_problem(["nonsense"])
