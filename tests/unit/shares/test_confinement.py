"""Answers under a share name nothing outside it, whatever is asked (SHR-2, SHR-3)."""

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from shared.dicomweb.resource import READ
from shared.dicomweb.resources import RESOURCES
from shared.http.messages import Response
from tests.builders.images import DEFL, EBE, ELE, ILE, J2K_LOSSLESS
from tests.builders.sharing import SharingService, referring

RETRIEVES = {"retrieve", "retrieve-metadata", "retrieve-rendered"}
ROOT = "1.2.826.0.1.3680043.8.498"
STUDIES = tuple(f"{ROOT}.{number}00" for number in (1, 2, 3))


def series_of(study: str) -> tuple[str, str]:
    return f"{study}.10", f"{study}.20"


def instance_of(series: str) -> str:
    return f"{series}.77"


EVERYTHING = tuple((study, series, instance_of(series)) for study in STUDIES for series in series_of(study))
SEARCHES = (
    *("studies", "series", "instances", "studies?includefield=all", "instances?includefield=all"),
    *("studies?orderby=-StudyDate", "studies?limit=1", "studies?fuzzymatching=true&PatientName=test"),
    *("studies?ModalitiesInStudy=OT", "series?includefield=all", "studies?StudyDate=20240101-"),
    f"studies?StudyInstanceUID={','.join(STUDIES)}",
)
VARIANTS = (
    ("", "application/dicom; transfer-syntax=*"),
    ("", 'multipart/related; type="application/dicom"; transfer-syntax=*'),
    ("", 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1'),
    ("", "application/zip"),
    ("?dicomdir=true", "application/zip"),
    ("/metadata", "application/dicom+json"),
    ("/metadata", 'multipart/related; type="application/dicom+xml"'),
    ("/rendered", "image/jpeg"),
    ("/thumbnail", "image/jpeg"),
    ("/bulkdata", "*/*"),
    ("/pixeldata", "*/*"),
    ("/frames/1", "*/*"),
    ("/frames/1/rendered", "image/png"),
    ("/bulkdata/7FE00010", "*/*"),
    ("/series?includefield=all", "application/dicom+json"),
    ("/instances?includefield=all", "application/dicom+json"),
)


async def service(syntax: str = ELE, **attributes: object) -> SharingService:
    """Every instance refers to all others."""
    made = SharingService()
    await made.store_images(*(referring(*each, *EVERYTHING, syntax=syntax, **attributes) for each in EVERYTHING))
    return made


def text_of(answer: Response) -> bytes:
    """All that is sent of an answer."""
    assert isinstance(answer.body, bytes)
    return b"\n".join([*(f"{name}: {value}".encode() for name, value in answer.headers), answer.body])


def named(answer: Response) -> set[str]:
    """The UIDs of what is stored that an answer names. In files the byte before or behind one may be a digit, too."""
    known = {uid for each in EVERYTHING for uid in each}
    runs = {run.decode() for run in re.findall(rb"[0-9.]{20,}", text_of(answer).replace(b".zip", b""))}
    cuts = {run[before : len(run) - behind] for run in runs for before in (0, 1) for behind in (0, 1)}
    return known & cuts


def requests() -> list[tuple[str, str]]:
    found = [(path, "*/*") for path in SEARCHES]
    for (study, series, sop), (behind, accept) in product(EVERYTHING, VARIANTS):
        paths = (
            f"studies/{study}",
            f"studies/{study}/series/{series}",
            f"studies/{study}/series/{series}/instances/{sop}",
        )
        found += [(f"{path}{behind}", accept) for path in paths if _exists(path, behind)]
    uid = "wado?requestType=WADO&studyUID={}&seriesUID={}&objectUID={}"
    found += [
        (uid.format(*each) + f"&contentType={kind}", "*/*")
        for each in EVERYTHING
        for kind in ("application/dicom", "image/jpeg")
    ]
    return found


def _exists(path: str, behind: str) -> bool:
    if behind.startswith(("/frames", "/bulkdata/")):
        return "/instances/" in path
    if behind.startswith("/series"):
        return "/series/" not in path
    return not (behind.startswith("/instances") and "/instances/" in path)


REQUESTS = requests()


def inside(studies: tuple[str, ...], series: tuple[str, ...]) -> set[str]:
    shared = [each for each in EVERYTHING if each[0] in studies and (not series or each[1] in series)]
    return {uid for each in shared for uid in each} | set(studies)


@given_settings(max_examples=4)
@given(
    st.sets(st.sampled_from(STUDIES), min_size=1, max_size=2),
    st.booleans(),
    st.booleans(),
    st.lists(st.sampled_from(REQUESTS), min_size=25, max_size=25, unique=True),
)
@pytest.mark.spec("SHR-2", "SHR-3")
async def test_no_answer_under_a_share_names_a_uid_outside_it(studies, some_series, downloads, asked):
    made = await service()
    chosen = tuple(sorted(studies))
    series = tuple(series_of(each)[0] for each in chosen) if some_series else ()
    members = {"series": list(series)} if series else {}
    token = await made.token(*chosen, download=downloads, **members)

    for path, accept in asked:
        answer = await made.ask("GET", path, token=token, accept=accept)

        assert named(answer) <= inside(chosen, series), (path, answer.status)


@pytest.mark.nightly
@pytest.mark.spec("SHR-2", "SHR-3")
@pytest.mark.parametrize("syntax", [ELE, ILE, EBE, DEFL, J2K_LOSSLESS])
@pytest.mark.parametrize("some_series", [False, True])
async def test_no_answer_of_any_transaction_names_a_uid_outside_the_share(syntax, some_series):
    made = await service(syntax)
    series = (series_of(STUDIES[0])[0],) if some_series else ()
    token = await made.token(STUDIES[0], **({"series": list(series)} if series else {}))

    statuses = set()
    for path, accept in REQUESTS:
        answer = await made.ask("GET", path, token=token, accept=accept)
        statuses.add(answer.status)
        assert named(answer) <= inside(STUDIES[:1], series), (path, answer.status)
    assert {200, 404} <= statuses


@pytest.mark.spec("SHR-2", "SHR-3")
def test_shares_have_the_resources_that_search_and_retrieve_and_no_other():
    with_share = {name: row.under_share for name, row in RESOURCES.items() if row.under_share}
    searches = {name for name in RESOURCES if name.startswith("search_")} - {"search_workitems"}

    assert with_share.keys() == {"retrieve_share_ehr"} | searches | {
        name for name, row in RESOURCES.items() if (row.audit or "") in RETRIEVES
    }
    assert all(RESOURCES[name].partitioned and RESOURCES[name].methods == READ for name in with_share)
    assert {name for name, share in with_share.items() if share == "download"} == {
        *("retrieve_study", "retrieve_series", "retrieve_instance", "retrieve_instance_bulk_value"),
        *("retrieve_study_bulk_data", "retrieve_series_bulk_data", "retrieve_instance_bulk_data"),
        *("retrieve_study_pixel_data", "retrieve_series_pixel_data", "retrieve_instance_pixel_data"),
    }


@pytest.mark.spec("SHR-3", "META-6")
async def test_the_tag_of_metadata_tells_nothing_of_what_is_outside():
    made = await service()
    study, series, _ = EVERYTHING[0]
    token = await made.token(study, series=[series])
    tags = []
    for path in (f"studies/{study}/metadata", f"studies/{study}/series/{series}/metadata"):
        answer = await made.ask("GET", path, token=token, accept="application/dicom+json")
        tags += [value for name, value in answer.headers if name == "ETag"]
    assert len(set(tags)) == 1
    assert tags[0].endswith('-1"')
