from dataclasses import replace

import orjson
import pytest

from shared.dicom.identifiers import InstanceIdentifier
from shared.dicom.reasons import FailureReason, WarningReason
from shared.dicomweb.urls import Urls
from shared.dicomweb.versions import ApiVersion
from shared.ingest.store_outcome import StoreOutcome
from shared.store.response import store_response
from tests.builders.http import context

V1, V2 = ApiVersion.V1, ApiVersion.V2
URLS = Urls("https://example.org", "v2", None)
SOP_CLASS = "1.2.840.10008.5.1.4.1.1.2"
COMMENT = "DICOM100: (0008,0020) - not a date"


def stored(sop_instance="1.2.3.1", **more):
    return StoreOutcome(SOP_CLASS, sop_instance, InstanceIdentifier("1.2.3", "1.2.3.0", sop_instance), **more)


def failed(reason=FailureReason.VALIDATION_FAILURE, comments=(), **more):
    return StoreOutcome(failure=reason, comments=comments, **more)


def respond(*outcomes, version=V2, study=None, host="example.org:7071", urls=URLS):
    uids = {} if study is None else {"study": study}
    return store_response(outcomes, replace(context(host, version, **uids), urls=urls))


def body_of(response):
    return orjson.loads(response.body)


@pytest.mark.spec("STOW-11", "STOW-30", "STOW-32", "STOW-33")
@pytest.mark.parametrize("version", [V1, V2])
@pytest.mark.parametrize(
    ("outcomes", "v1", "v2"),
    [
        ([], 204, 204),
        ([stored()], 200, 200),
        ([stored(warning=WarningReason.ATTRIBUTES_INVALID)], 200, 202),
        ([stored(warning=WarningReason.DATA_SET_MISMATCH), stored("1.2.3.2")], 200, 202),
        ([stored(), failed()], 202, 202),
        ([failed(), failed(FailureReason.ALREADY_STORED)], 409, 409),
    ],
)
def test_the_status_tells_what_became_of_the_instances(version, outcomes, v1, v2):
    response = respond(*outcomes, version=version)

    assert response.status == (v1 if version is V1 else v2)
    if not outcomes:
        assert response.body == b""
        assert response.headers == ()
        return
    body = body_of(response)
    assert dict(response.headers)["Content-Type"] == "application/dicom+json"
    assert ("00081199" in body) == any(outcome.failure is None for outcome in outcomes)
    assert ("00081198" in body) == any(outcome.failure is not None for outcome in outcomes)


@pytest.mark.spec("STOW-31", "STOW-35")
@pytest.mark.parametrize(
    ("study", "outcomes", "keys"),
    [
        (None, [stored(), failed()], ["00081198", "00081199"]),
        ("1.2.3", [stored(), failed()], ["00081190", "00081198", "00081199"]),
        ("1.2.3", [failed()], ["00081198"]),
    ],
)
def test_the_url_of_the_study_is_there_when_the_path_names_it_and_an_instance_was_stored(study, outcomes, keys):
    body = body_of(respond(*outcomes, study=study))

    assert list(body) == keys
    if "00081190" in keys:
        assert body["00081190"] == {"vr": "UR", "Value": ["https://example.org/v2/studies/1.2.3"]}


@pytest.mark.spec("STOW-32", "STOW-36")
def test_a_success_in_v2_always_lists_failed_attributes():
    body = body_of(respond(stored(), stored("1.2.3.2", warning=WarningReason.ATTRIBUTES_INVALID, comments=(COMMENT,))))

    silent, warned = body["00081199"]["Value"]
    url = "https://example.org/v2/studies/1.2.3/series/1.2.3.0/instances/1.2.3"
    assert silent == {
        "00081150": {"vr": "UI", "Value": [SOP_CLASS]},
        "00081155": {"vr": "UI", "Value": ["1.2.3.1"]},
        "00081190": {"vr": "UR", "Value": [f"{url}.1"]},
        "00741048": {"vr": "SQ"},
    }
    assert warned["00081196"] == {"vr": "US", "Value": [1]}
    assert warned["00741048"] == {"vr": "SQ", "Value": [{"00000902": {"vr": "LO", "Value": [COMMENT]}}]}


@pytest.mark.spec("STOW-32")
def test_a_success_in_v1_never_lists_failed_attributes():
    body = body_of(respond(stored(warning=WarningReason.DATA_SET_MISMATCH), version=V1))

    [item] = body["00081199"]["Value"]
    assert list(item) == ["00081150", "00081155", "00081190", "00081196"]
    assert item["00081196"]["Value"] == [45063]


@pytest.mark.spec("STOW-33", "STOW-37")
@pytest.mark.parametrize(
    ("outcome", "item"),
    [
        (
            failed(),
            {
                "00000902": {"vr": "LO", "Value": ["The data set is not valid."]},
                "00081197": {"vr": "US", "Value": [43264]},
            },
        ),
        (
            failed(explanation="(0008,1030) - The element occurs twice with different values"),
            {
                "00000902": {"vr": "LO", "Value": ["(0008,1030) - The element occurs twice with different values"]},
                "00081197": {"vr": "US", "Value": [43264]},
            },
        ),
        (
            failed(FailureReason.ALREADY_STORED, sop_class_uid=SOP_CLASS, sop_instance_uid="1.2"),
            {
                "00000902": {"vr": "LO", "Value": ["The instance is stored already."]},
                "00081150": {"vr": "UI", "Value": [SOP_CLASS]},
                "00081155": {"vr": "UI", "Value": ["1.2"]},
                "00081197": {"vr": "US", "Value": [45070]},
            },
        ),
        (
            failed(sop_instance_uid="not a uid", comments=(COMMENT,)),
            {
                "00000902": {"vr": "LO", "Value": ["(0008,0020) - The attribute is missing or invalid."]},
                "00081155": {"vr": "UI", "Value": ["not a uid"]},
                "00081197": {"vr": "US", "Value": [43264]},
                "00741048": {"vr": "SQ", "Value": [{"00000902": {"vr": "LO", "Value": [COMMENT]}}]},
            },
        ),
    ],
)
def test_a_failure_says_why_and_what_could_be_read(outcome, item):
    assert body_of(respond(outcome))["00081198"]["Value"] == [item]


@pytest.mark.spec("STOW-34")
def test_items_stand_in_the_order_of_the_request():
    outcomes = [stored("1.9"), failed(sop_instance_uid="1.7"), stored("1.1"), failed(sop_instance_uid="1.2")]

    body = body_of(respond(*outcomes))

    for tag, expected in (("00081199", ["1.9", "1.1"]), ("00081198", ["1.7", "1.2"])):
        assert [item["00081155"]["Value"][0] for item in body[tag]["Value"]] == expected


@pytest.mark.spec("STOW-41", "VAL-8")
@pytest.mark.parametrize(
    ("host", "agent"),
    [("example.org", "example.org:"), ("example.org:7071", "example.org:"), ("[::1]:80", "[::1]:"), ("", "-")],
)
def test_several_values_of_a_searchable_attribute_are_announced_in_a_header(host, agent):
    headers = dict(respond(stored(several_values=True), host=host).headers)

    assert headers["Warning"].startswith(f'299 {agent} "')
    assert headers["Warning"].endswith('"')


@pytest.mark.spec("STOW-41")
def test_an_instance_that_failed_announces_nothing():
    assert "Warning" not in dict(respond(failed(several_values=True), stored()).headers)


@pytest.mark.spec("URL-10")
def test_urls_name_the_partition():
    body = body_of(respond(stored(), urls=Urls("https://example.org", "v2", "clinic")))

    [item] = body["00081199"]["Value"]
    assert item["00081190"]["Value"][0].startswith("https://example.org/v2/partitions/clinic/studies/1.2.3/")


@pytest.mark.spec("STOW-17", "STOW-41")
def test_v1_says_in_a_header_that_elements_were_read_as_something_else():
    odd = stored(odd=True)
    assert [value for name, value in respond(odd, version=ApiVersion.V1).headers if name == "Warning"] == [
        (
            '299 example.org: "One or more elements are not encoded as the standard says. '
            'What they were read as is in the metadata."'
        )
    ]
    assert not [name for name, _ in respond(odd).headers if name == "Warning"]
