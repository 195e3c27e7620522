"""The example of a performer, as somebody runs it who has cloned the project."""

import asyncio
import json
import subprocess
from pathlib import Path

import numpy as np
import requests

from tests.builders.datasets import ct, part10
from tests.builders.images import new_uid
from tests.conformance.exchange import JSON, Exchange
from tests.integration.devhost.waiting import eventually

ROOT = Path(__file__).resolve().parents[3]
PERFORMER = ROOT / "examples/performer/performer.py"
DENSE, VOXEL = 12, 0.5 * 0.5 * 2.0
"""Pixels of an image that are denser than 300 HU, and the cubic millimetres of each."""


def dense_ct(study: str, series: str, number: int) -> bytes:
    data_set = ct(
        StudyInstanceUID=study,
        SeriesInstanceUID=series,
        InstanceNumber=number,
        BodyPartExamined="CHEST",
        PixelSpacing=["0.5", "0.5"],
        SliceThickness="2",
    )
    pixels = np.zeros((8, 6), "<u2")
    pixels.flat[:DENSE] = 1024 + 301
    pixels.flat[DENSE] = 1024 + 300
    data_set.PixelData = pixels.tobytes()
    return part10(data_set)


def test_it_is_as_short_as_it_says():
    assert len(PERFORMER.read_text().splitlines()) <= 80


async def test_what_is_stored_is_measured_though_the_connection_breaks(fresh_service, python_of_examples):
    service = await fresh_service()
    client, studies = Exchange(service.url), [new_uid() for _ in range(3)]
    rule = json.loads((PERFORMER.parent / "rule.json").read_text()) | {"quietSeconds": 0}
    made = client.send("POST", "worklist-rules", body=json.dumps(rule).encode(), Content_Type="application/json")
    assert made.status_code == 201, made.text
    await asyncio.to_thread(store, client, studies[0])
    await asyncio.to_thread(chores, service)
    performer = await asyncio.create_subprocess_exec(python_of_examples, PERFORMER, client.base, stdout=subprocess.PIPE)

    async def completed(study: str):
        await asyncio.to_thread(chores, service)
        assert performer.returncode is None
        keys = f"workitems?StudyInstanceUID={study}&ProcedureStepState=COMPLETED&includefield=all"
        found = await asyncio.to_thread(client.get, keys, JSON)
        return found.json() if found.status_code == 200 else None

    try:
        found = [await eventually(lambda: completed(studies[0]), 200)]  # scheduled before it came
        await asyncio.to_thread(store, client, studies[1])
        found.append(await eventually(lambda: completed(studies[1]), 200))  # it is told
        await service.kill()
        await service.start()
        await asyncio.to_thread(store, client, studies[2])
        await asyncio.to_thread(chores, service)
        found.append(await eventually(lambda: completed(studies[2]), 200))  # its connection is gone
    finally:
        performer.kill()
        await performer.wait()
    for study, [workitem] in zip(studies, found, strict=True):
        [step] = workitem["00741216"]["Value"]
        [output] = step["00404033"]["Value"][0]["00081199"]["Value"]
        data_sets = client.get(f"studies/{study}/metadata", JSON).json()
        [report] = [each for each in data_sets if each["00080060"]["Value"] == ["SR"]]
        assert output["00081155"]["Value"] == report["00080018"]["Value"]
        assert report["0040A504"]["Value"][0]["0040DB00"]["Value"] == ["1500"]
        assert report["00100020"]["Value"] == ["P-1"]
        assert [float(value) for value in numbers(report)] == [2 * DENSE * VOXEL]


def store(client: Exchange, study: str) -> None:
    """Store a study of two images."""
    series = new_uid()
    for number in (1, 2):
        stored = client.send("POST", "studies", JSON, dense_ct(study, series, number), Content_Type="application/dicom")
        assert stored.status_code == 200, stored.text


def chores(service) -> None:
    """What is done every minute, now."""
    requests.post(f"{service.url}/admin/functions/housekeeping", json={"input": ""}, timeout=120)


def numbers(item: dict) -> list:
    """The numeric values of a content tree."""
    own = [each["0040A30A"]["Value"][0] for each in item.get("0040A300", {}).get("Value", [])]
    return own + [value for child in item.get("0040A730", {}).get("Value", []) for value in numbers(child)]
