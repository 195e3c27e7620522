"""`make demo`: ten studies that the service takes, finds and draws, and that a second run leaves as they are."""

import asyncio

import pytest
import requests

from dicom_cli.configuration import Configuration, Value
from dicom_cli.service import Service
from scripts.demo.__main__ import STUDIES, store

JSON = {"Accept": "application/dicom+json"}
WITHOUT_PICTURE = {"SR", "ECG", "RTSTRUCT", "DOC", "SEG", "XC"}


@pytest.fixture
def service(own_service):
    values = {name: Value("", "default") for name in ("partition", "scope", "token_command")}
    return Service(Configuration({**values, "url": Value(own_service.url, "--url")}, ""))


async def test_each_study_is_stored_found_and_drawn_and_is_there_already_the_second_time(service):
    def run():
        modalities = set()
        for make in STUDIES:
            study = make()
            assert store(service, study) == "stored", study.title
            assert store(service, study) == "is there already", study.title
            url = f"{service.url}/v2/studies/{study.study_instance_uid}"
            found = requests.get(f"{url}/instances", headers=JSON, timeout=60).json()
            assert len(found) == len(study.data_sets), study.title
            one = study.data_sets[0]
            modalities |= {each.Modality for each in study.data_sets}
            if one.Modality not in WITHOUT_PICTURE:
                path = f"{url}/series/{one.SeriesInstanceUID}/instances/{one.SOPInstanceUID}/rendered"
                answer = requests.get(path, headers={"Accept": "image/jpeg"}, timeout=60)
                assert (answer.status_code, answer.content[:2]) == (200, b"\xff\xd8"), study.title
        return modalities

    assert await asyncio.to_thread(run) >= {"CT", "MR", "US", "SR", "SEG", "SM", "DOC", "ECG", "RTSTRUCT", "XC"}
