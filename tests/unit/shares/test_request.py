"""What a request for a share may say (SHR-1)."""

from datetime import timedelta

import orjson
import pytest

from shared.errors import InvalidRequest
from shared.shares.model import is_share_id, is_share_token, new_token, read_token
from shared.shares.request import new_share
from tests.builders.http import error
from tests.builders.images import image
from tests.builders.sharing import SharingService, said

LEAST = {"studies": ["1.2.3"], "expiresIn": "P1D"}
STUDY = "1.2.826.0.1.3680043.8.498.9"
COHORT = "9b1c0d5e-8f2a-4b6c-8d0e-1f2a3b4c5d6e"


@pytest.mark.spec("SHR-1")
@pytest.mark.parametrize(
    ("text", "lasts"),
    [
        ("P90D", timedelta(days=90)),
        ("P2W", timedelta(days=14)),
        ("PT30M", timedelta(minutes=30)),
        ("P1DT12H", timedelta(hours=36)),
        ("PT90S", timedelta(seconds=90)),
    ],
)
def test_the_time_is_an_iso_8601_duration(text, lasts):
    assert new_share({**LEAST, "expiresIn": text}).lasts == lasts


@pytest.mark.spec("SHR-1")
@pytest.mark.parametrize(
    "change",
    [
        *(
            {"expiresIn": each}
            for each in ("P91D", "P0D", "P", "PT", "P1M", "P1Y", "1D", "-P1D", "P1.5D", 7, None, "P13W")
        ),
        *({"studies": each} for each in ([], ["x"], [1], "1.2.3", {}, ["1.2.3"] * 1001)),
        *({"series": each} for each in ([], ["1.2."], "1.2")),
        *({"label": each} for each in ("x" * 65, "a\nb", 3)),
        *({"recipient": each} for each in ("somebody@example.org", "abc", 5)),
        *({"download": each} for each in ("yes", 1)),
        *({"ehr": each} for each in ("all", 1, ["none"])),
        {"deidentified": "yes"},
        {"partition": True},
        {"cohort": COHORT},
        {"Studies": ["1.2.3"]},
        {"expires": "P1D"},
    ],
)
def test_what_is_wrong_is_refused(change):
    with pytest.raises(InvalidRequest):
        new_share({**LEAST, **change})


@pytest.mark.spec("SHR-1")
@pytest.mark.parametrize(
    "body",
    [
        {"expiresIn": "P1D"},
        {"expiresIn": "P1D", "partition": "yes"},
        {"expiresIn": "P1D", "partition": True, "series": ["1.2"]},
        {"expiresIn": "P1D", "cohort": "x"},
        {"expiresIn": "P1D", "partition": True, "ehr": "reports"},
        [],
        "share",
    ],
)
def test_exactly_one_selection_is_asked_for(body):
    with pytest.raises(InvalidRequest):
        new_share(body)


@pytest.mark.spec("SHR-1")
def test_members_without_a_value_are_as_if_they_were_not_there():
    nothing = {
        "cohort": None,
        "partition": False,
        "series": None,
        "label": None,
        "deidentified": False,
        "download": None,
    }

    assert new_share({**LEAST, **nothing}) == new_share(LEAST)
    assert new_share(LEAST).downloads


@pytest.mark.spec("SHR-1")
@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"studies": ["1.2.3.4"]}, 404),
        ({"series": ["1.2.3.4"]}, 404),
        ({"surprise": 1}, 400),
        ({"ehr": "reports"}, 400),
    ],
)
async def test_a_share_of_what_does_not_exist_is_not_made(members, status):
    one = image()
    made = SharingService()
    await made.store_images(one)
    document = {"studies": [one.identifier.study_instance_uid], "expiresIn": "P1D", **members}

    answer = await made.ask("POST", "shares", body=orjson.dumps(document))

    assert error(answer)[0] == status
    assert said(await made.ask("GET", "shares")) == []


@pytest.mark.spec("SHR-1", "SHR-41")
async def test_a_share_of_a_cohort_has_the_studies_that_it_had_then():
    one = image()
    studies = [one.identifier.study_instance_uid]

    async def of_cohort(_cohort: str, _partition: str):
        for each in tuple(studies):
            yield each

    made = SharingService(cohort_studies=of_cohort)
    await made.store_images(one)
    new = await made.share(cohort=COHORT)
    later = image()
    await made.store_images(later)
    studies.append(later.identifier.study_instance_uid)

    [study] = said(await made.ask("GET", "studies", token=new["token"]))

    assert study["0020000D"]["Value"] == [one.identifier.study_instance_uid]
    [listed] = said(await made.ask("GET", "shares"))
    assert listed["selection"] == {"cohort": COHORT.replace("-", ""), "studies": studies[:1], "count": 1}


@pytest.mark.spec("SHR-1")
@pytest.mark.parametrize("members", [{"cohort": COHORT}, {"studies": [STUDY], "ehr": "reports"}])
async def test_cohorts_and_clinical_data_need_the_action_that_shows_who_patients_are(members):
    async def of_cohort(_cohort: str, _partition: str):
        yield "1.2.3"

    async def clinical(_studies: object, _series: object, _extent: object) -> dict[str, object]:
        return {}

    made = SharingService(cohort_studies=of_cohort, clinical_data=clinical)
    await made.store_images(image(STUDY))
    body = orjson.dumps({"expiresIn": "P1D", **members})

    refused = await made.ask("POST", "shares", token="share", body=body)
    allowed = await made.ask("POST", "shares", token="share+cohortIdentified", body=body)

    assert (refused.status, allowed.status) == (403, 201)


@pytest.mark.spec("SHR-2")
def test_a_token_says_which_share_it_is_of_and_nothing_else_is_one():
    share_id, token = new_token("0")

    found = read_token(token)

    assert found is not None
    assert found.share_id == share_id
    assert is_share_id(share_id)
    assert is_share_token(token)
    assert read_token(token[:-1]) is None
    assert read_token(f"{token}A") is None
    assert not is_share_token("eyJhbGciOiJub25lIn0.e30.")
