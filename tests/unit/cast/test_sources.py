"""Both sources of studies give the same Bundle; a large study takes little memory."""

import asyncio
import itertools
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from shared.cast import remote_studies
from shared.cast.mapping.imaging_study import References, wanted_study
from shared.cast.model import Study
from shared.cast.own_studies import OwnStudies
from shared.cast.ports import Unreadable
from shared.cast.remote_studies import RemoteStudies
from shared.dicom.identifiers import InstanceIdentifier
from shared.index.model import SeriesView, StoredInstance, StudyView
from shared.outgoing.failures import Failure, RequestFailed
from shared.outgoing.server import Answer
from tests.builders.cast import PARTITION, SETTINGS, instance

ROOT = Path(__file__).parents[3]
STUDY = "2.25.1"
FIXTURES: dict[str, list[dict[str, Any]]] = {
    "one series": [instance(STUDY, 1, 1), instance(STUDY, 1, 2)],
    "two series": [instance(STUDY, 1, 1), instance(STUDY, 2, 1, t00080060="SR", t0008103E=None)],
    "values that differ": [instance(STUDY, 1, 1, t00081030="A"), instance(STUDY, 1, 2, t00081030="B")],
    "absent values": [instance(STUDY, 1, 1, t00080020=None, t00080050="", t00100010=None)],
    "sequences": [instance(STUDY, 1, 1, t00081032=[{"00080104": {"Value": ["X"]}}])],
    "names": [instance(STUDY, 1, 1, t00100010={"Alphabetic": "A^B", "Ideographic": "山^田"})],
    "nothing": [],
}
_STUDY_TAGS = ("00080020", "00080030", "00080050", "00080201", "00081030", "00100010", "00100020", "00100040")
_SERIES_TAGS = ("00080060", "0008103E", "00200011")


def latest(instances: list[dict[str, Any]], tags: tuple[str, ...]) -> dict[str, Any]:
    """What the index, and a search, tell: the latest non-empty values."""
    return {tag: each[tag] for each in instances for tag in tags if each.get(tag, {}).get("Value")}


def by_series(instances: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for each in instances:
        found.setdefault(each["0020000E"]["Value"][0], []).append(each)
    return found


def as_index(element: dict[str, Any]) -> str:
    value = element["Value"][0]
    return "=".join(value.values()) if isinstance(value, dict) else str(value)


class Index:
    """A look-up of one study."""

    def __init__(self, instances: list[dict[str, Any]]) -> None:
        self.found = instances

    async def instances(self, _place: Any, _scope: Any, *, metadata: bool) -> list[StoredInstance]:
        assert not metadata
        return [self._stored(number, each) for number, each in enumerate(self.found)]

    async def stream(self, _place: Any, _scope: Any) -> AsyncIterator[StoredInstance]:
        for number, each in enumerate(reversed(self.found)):
            yield self._stored(number, each)

    async def study(self, _place: Any, study: str) -> StudyView | None:
        def attributes(instances: list[dict[str, Any]], tags: tuple[str, ...]) -> dict[str, str]:
            return {tag: as_index(element) for tag, element in latest(instances, tags).items()}

        newest = InstanceIdentifier(study, "1", "1")
        series = {
            uid: SeriesView(uid, len(each), attributes(each, _SERIES_TAGS), newest, "")
            for uid, each in by_series(self.found).items()
        }
        if not self.found:
            return None
        return StudyView(study, len(self.found), attributes(self.found, _STUDY_TAGS), series, newest, "", None)

    @staticmethod
    def _stored(number: int, each: dict[str, Any]) -> StoredInstance:
        uids = (each[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
        return StoredInstance(InstanceIdentifier(*uids), "", "", number, "b", 1, None, orjson.dumps(each))


class Partitions:
    async def resolve(self, _name: str, *, create: bool) -> None:
        assert not create


class Web:
    """A DICOMweb server with one study."""

    name, base = "DICOMweb", "http://dicom.test/v2"

    def __init__(self, instances: list[dict[str, Any]], body: bytes | None = None, status: int = 200) -> None:
        self.found = instances
        self.body = orjson.dumps(instances) if body is None else body
        self.status = status if instances or body is not None else 404

    @asynccontextmanager
    async def stream(self, target: str, *, headers: Any) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        async def pieces() -> AsyncIterator[bytes]:
            for at in range(0, len(self.body), 97):
                yield self.body[at : at + 97]

        same = headers.get("If-None-Match") == '"1"'
        yield Answer(304 if same else self.status, {"etag": '"1"'}, b""), pieces()

    async def request(self, _method: str, target: str, **_more: Any) -> Answer:
        if "/series?" not in target:
            return Answer(200, {}, orjson.dumps([latest(self.found, _STUDY_TAGS)] if self.found else []))
        series = [
            {"0020000E": {"Value": [uid]}, **latest(each, _SERIES_TAGS)} for uid, each in by_series(self.found).items()
        ]
        return Answer(200, {}, orjson.dumps(series))


async def read(source: Any) -> Study:
    found = await source.read(PARTITION, STUDY, "")
    assert found is not None
    return found[0]


def own(instances: list[dict[str, Any]]) -> OwnStudies:
    return OwnStudies(Index(instances), None, Partitions(), SETTINGS)


@pytest.mark.parametrize("fixture", FIXTURES)
@pytest.mark.spec("CAST-RD-1")
async def test_both_sources_give_the_same_resource(fixture: str) -> None:
    instances = FIXTURES[fixture]
    mine, theirs = await read(own(instances)), await read(RemoteStudies(Web(instances), SETTINGS))
    references = References("Patient/1", "Endpoint/1")
    assert wanted_study(mine, SETTINGS, references) == wanted_study(theirs, SETTINGS, references)
    assert (mine.notes, mine.refused, mine.is_empty) == (theirs.notes, theirs.refused, theirs.is_empty)
    if fixture == "values that differ":
        assert wanted_study(mine, SETTINGS, references)["description"] == "B"


async def test_what_has_not_changed_is_not_read() -> None:
    instances = FIXTURES["one series"]
    for source in (own(instances), RemoteStudies(Web(instances), SETTINGS)):
        _, etag = await source.read(PARTITION, STUDY, "")
        assert await source.read(PARTITION, STUDY, etag) is None


async def test_one_unreadable_instance_is_noted_and_a_whole_document_is_not() -> None:
    good = orjson.dumps(instance(STUDY)).decode()
    body = f'[{{"00080018": nonsense}},{good},{good.replace(STUDY + ".1.1", STUDY + ".1.2")}]'
    study = await read(RemoteStudies(Web([instance(STUDY)], body.encode()), SETTINGS))
    assert (study.instances, {note.kind for note in study.notes}) == (2, {"unreadable-instance"})
    odd = good.replace('"00200013":{"vr":"IS","Value":[1]}', '"00200013":{"vr":"FL","Value":[-Infinity]}')
    assert (await read(RemoteStudies(Web([instance(STUDY)], f"[{odd}]".encode()), SETTINGS))).instances == 1
    with pytest.raises(Unreadable):
        await read(RemoteStudies(Web([instance(STUDY)], b"<html>"), SETTINGS))
    with pytest.raises(RequestFailed):
        await read(RemoteStudies(Web([instance(STUDY)], status=503), SETTINGS))


async def test_a_server_whose_studies_do_not_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_studies, "_MOST_INSTANCES", 40)
    with pytest.raises(RequestFailed) as raised:
        await read(RemoteStudies(Web([instance(STUDY)], b"[" + b"{}," * 10_000), SETTINGS))
    assert raised.value.failure is Failure.UNUSABLE
    monkeypatch.setattr(remote_studies, "_MOST_SERIES", 500)
    web, numbers = Web([instance(STUDY)]), itertools.count()

    async def request(_method: str, _target: str, **_more: Any) -> Answer:
        return Answer(200, {}, orjson.dumps([{"0020000E": {"Value": [f"2.25.{next(numbers)}"]}} for _ in range(200)]))

    web.request = request
    with pytest.raises(RequestFailed):
        await read(RemoteStudies(web, SETTINGS))
    assert next(numbers) <= 1000


_PROGRAM = """
import re
from dataclasses import replace
from pathlib import Path
import orjson
from shared.cast.collecting import StudyCollector
from shared.cast.json_stream import ObjectStream, read_object
from shared.cast.mapping.imaging_study import References, wanted_study
from shared.cast.merging import Ownership, merged_study, same
from shared.cast.model import Summary
from shared.fhir.transaction import Entry, transaction
from tests.builders.cast import SETTINGS, instance

def resident(what):
    return int(re.search(what + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text()).group(1)) / 1024

settings = replace(SETTINGS, instances="all")
Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here on
before = resident("VmRSS")
collector, stream = StudyCollector("2.25.1", settings), ObjectStream()
filling = {f"{tag:08X}": {"vr": "LO", "Value": ["x" * 40]} for tag in range(0x00190010, 0x00190010 + 20)}
for number in range(10_000):
    document = orjson.dumps({**instance("2.25.1", number % 20 + 1, number), **filling})
    for each in stream.feed((b"[" if not number else b",") + document):
        collector.add(read_object(each))
study = collector.study(Summary())
assert study.instances == 10_000
wanted = wanted_study(study, settings, References("Patient/1", "Endpoint/1", ""))
existing = orjson.loads(orjson.dumps({**wanted, "id": "1", "started": "2020-01-01"}))
series = frozenset(each.uid for each in study.series)
merged = merged_study(existing, wanted, Ownership(True, series, "Endpoint/1", "http://fhir.test", {}), settings)
assert not same(merged, existing)
assert len(orjson.dumps(transaction([Entry("PUT", "ImagingStudy/1", merged)]))) > 10**6
print(resident("VmHWM") - before)
"""


@pytest.mark.spec("CAST-RD-2")
async def test_ten_thousand_instances_take_little_memory() -> None:
    """Read, mapped, merged with what is there and written down, beside what the program takes anyway."""
    command = [sys.executable, "-c", _PROGRAM]
    ran = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240
    )
    assert ran.returncode == 0, ran.stderr
    assert 0 <= float(ran.stdout) < 64
