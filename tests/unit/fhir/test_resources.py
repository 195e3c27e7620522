"""References and identifiers of FHIR resources."""

import pytest

from shared.fhir.resources import identifiers, referenced, relative_reference, resource_id, token, version_id


@pytest.mark.spec("CAST-SR-6")
@pytest.mark.parametrize(
    ("reference", "relative"),
    [
        ("Patient/1", "Patient/1"),
        ("https://fhir.test/r4/Patient/1", "Patient/1"),
        ("https://fhir.test/r4/Patient/1/_history/3", "Patient/1"),
        ("https://other.test/r4/Patient/1", "https://other.test/r4/Patient/1"),
        ("urn:uuid:1", "urn:uuid:1"),
        ("#part", "#part"),
    ],
)
def test_a_reference_is_relative_to_its_own_server(reference: str, relative: str) -> None:
    assert relative_reference("https://fhir.test/r4/", reference) == relative


@pytest.mark.spec("CAST-SR-1")
def test_tokens_are_escaped() -> None:
    assert token("urn:x", "a\\b,c$d|e") == "urn:x|a\\\\b\\,c\\$d\\|e"
    assert token("", "1") == "|1"


def test_malformed_resources_have_no_identity() -> None:
    assert (resource_id({"id": 7}), version_id({"meta": []}), list(identifiers({"identifier": "x"}))) == ("", "", [])
    assert referenced({"reference": 1}, "https://fhir.test") == ""
    assert list(identifiers({"identifier": [{"value": "v"}, 7]})) == [("", "v")]
