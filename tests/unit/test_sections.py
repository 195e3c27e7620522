"""Settings in sections."""

import pytest

from shared.errors import Misconfigured
from shared.sections import Sections
from shared.settings import Settings

ENVIRONMENT = {
    "Fhir__Endpoint": " https://fhir.test ",
    "DICOMCAST__ENABLED": "TRUE",
    "DicomCast__Empty": "",
    "DicomCast__Number": "7",
    "DicomCast__Time": "1.02:03:04",
    "DicomCast__Bad": "secret value",
    "Patient:IssuerMap": '{"A": "urn:oid:1"}',
    "Fhir__Headers__X-One": "1",
    "PATH": "/bin",
    "Other__Key": "x",
}


def test_keys_are_read_with_either_separator_in_any_case() -> None:
    sections = Sections.of(ENVIRONMENT)
    assert sections.text("Fhir:Endpoint") == "https://fhir.test"
    assert sections.below("DicomCast").flag("Enabled", default=False)
    assert sections.below("Patient").text_map("IssuerMap") == {"A": "urn:oid:1"}
    assert sections.below("Fhir").text_map("Headers") == {"x-one": "1"}
    assert sections.text("Other:Key") == ""


def test_values_have_types_and_defaults() -> None:
    cast = Sections.of(ENVIRONMENT).below("DicomCast")
    assert (cast.whole("Number", 1), cast.whole("Empty", 1)) == (7, 1)
    assert cast.seconds("Time", 0) == 86400 + 2 * 3600 + 3 * 60 + 4
    assert cast.choice("None", ("a", "b"), "b") == "b"
    assert cast.words("Number") == ("7",)
    assert cast.json("None", 3, lambda value: value) == 3


@pytest.mark.parametrize(
    "read",
    [
        lambda cast: cast.whole("Bad", 1),
        lambda cast: cast.whole("Number", 1, high=6),
        lambda cast: cast.flag("Bad", default=True),
        lambda cast: cast.seconds("Bad", 1),
        lambda cast: cast.choice("Bad", ("a",), "a"),
        lambda cast: cast.json("Bad", {}, lambda value: value),
        lambda cast: cast.text_map("Number"),
        lambda cast: cast.required("Empty"),
    ],
)
def test_a_fault_names_the_key_and_not_the_value(read) -> None:
    with pytest.raises(Misconfigured) as raised:
        read(Sections.of(ENVIRONMENT).below("DicomCast"))
    assert "DicomCast:" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_the_settings_of_the_app_hold_them() -> None:
    environment = {"DicomStorage": "UseDevelopmentStorage=true", "AUTHENTICATION_MODE": "off", **ENVIRONMENT}
    assert Settings.from_environment(environment).sections.text("Fhir:Endpoint") == "https://fhir.test"
    assert "fhir.test" not in repr(Settings.from_environment(environment))
