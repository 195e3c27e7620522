import pytest

from shared.dicom.elements import first, first_text


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
