"""The clinical data of a share, for the bearer of its token alone (SHR-6)."""

import pytest

from tests.builders.http import field
from tests.builders.images import image
from tests.builders.sharing import SharingService, said

ONE, GONE, OTHER = image(), image(), image()
STUDIES = [each.identifier.study_instance_uid for each in (ONE, GONE)]


@pytest.fixture
async def made():
    """A service whose FHIR server answers what it was asked."""

    async def clinical(studies, series, extent, pseudonyms):
        assert pseudonyms is None
        return {"resourceType": "Bundle", "asked": [list(studies), list(series), extent]}

    service = SharingService(clinical_data=clinical)
    await service.store_images(ONE, GONE, OTHER)
    return service


@pytest.mark.spec("SHR-6", "SHR-4")
async def test_the_bearer_reads_what_the_share_was_made_with_about_the_studies_that_are_there(made):
    new = await made.share(*STUDIES, ehr="timeline")
    await made.archive.index.delete(made.partition, made.study(STUDIES[1]))

    answer = await made.ask("GET", f"shares/{new['id']}/ehr", token=new["token"])

    assert answer.status == 200
    assert said(answer)["asked"] == [STUDIES[:1], [], "timeline"]
    assert (field(answer, "Content-Type"), field(answer, "Cache-Control")) == ("application/fhir+json", "no-store")


@pytest.mark.spec("SHR-6")
async def test_a_share_without_clinical_data_has_none(made):
    new = await made.share(*STUDIES)

    assert (await made.ask("GET", f"shares/{new['id']}/ehr", token=new["token"])).status == 404


@pytest.mark.spec("SHR-6")
async def test_nobody_else_reads_them_under_that_address(made):
    new, other = await made.share(*STUDIES, ehr="reports"), await made.share(*STUDIES, ehr="reports")

    for token in (other["token"], "all", "read"):
        assert (await made.ask("GET", f"shares/{new['id']}/ehr", token=token)).status == 404
