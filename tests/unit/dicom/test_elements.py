import pytest

from shared.dicom.elements import enclosing, first, first_text, items, values


@pytest.mark.parametrize(
    ("element", "value", "text"),
    [
        ({"vr": "CS", "Value": ["MR", "CT"]}, "MR", "MR"),
        ({"vr": "US", "Value": [7]}, 7, None),
        ({"vr": "SQ", "Value": [{}]}, {}, None),
        ({"vr": "CS", "Value": []}, None, None),
        ({"vr": "CS"}, None, None),
        ({"vr": "CS", "Value": "MR"}, None, None),
        ("MR", None, None),
        (None, None, None),
    ],
)
def test_the_first_value_of_whatever_stands_for_an_element(element, value, text):
    assert (first({"00080060": element}, "00080060"), first_text({"00080060": element}, "00080060")) == (value, text)
    assert first({}, "00080060") is None


def test_values_and_items_of_whatever_stands_for_an_element():
    document = {"00400275": {"vr": "SQ", "Value": [{"00080060": {"vr": "CS"}}, None, 7]}, "00080018": "1.2"}
    assert values(document, "00400275")[1:] == [None, 7]
    assert items(document, "00400275") == [{"00080060": {"vr": "CS"}}, {}, {}]
    assert [values(document, key) for key in ("00080018", "00080060")] == [[], []]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("00400275/1/00080060", {"vr": "CS"}),
        ("00400275/2/00080060", None),
        ("00400275/0/00080060", None),
        ("00400275/4/00080060", None),
        ("00080060/1/00080060", None),
        ("00080018", {"vr": "UI"}),
    ],
)
def test_a_path_leads_to_the_data_set_that_holds_an_element(path, found):
    document = {"00080018": {"vr": "UI"}, "00400275": {"vr": "SQ", "Value": [{"00080060": {"vr": "CS"}}, None, 7]}}
    data_set, key = enclosing(document, path)
    assert data_set.get(key) == found
