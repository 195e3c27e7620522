"""Files, multipart messages and documents that are nearly right, stored and read in every form."""

import asyncio
import io
import json
from collections import Counter
from pathlib import Path

import pydicom
import pytest
from aiohttp import ClientPayloadError, ClientSession
from pydicom.data import get_testdata_file

from tests.builders import seeds
from tests.builders.datasets import ct, part10
from tests.builders.images import image, multipart, new_uid
from tests.builders.mutation import mutated, noise, rounds
from tests.integration.fuzzing.watching import Watch

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(3600)]

DICOM = "application/dicom"
JSON = "application/dicom+json"
SAMPLES = [
    "CT_small.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "JPGExtended.dcm",
    "SC_rgb_dcmtk_+eb+cr.dcm", "SC_rgb_jpeg_gdcm.dcm", "image_dfl.dcm", "MR_small_bigendian.dcm", "liver_1frame.dcm",
    "reportsi.dcm", "rtplan.dcm", "waveform_ecg.dcm", "examples_palette.dcm",
]  # fmt: skip  # a list of cases
READ = {
    "": ("application/dicom; transfer-syntax=*", DICOM, f"{DICOM}; transfer-syntax=1.2.840.10008.1.2.4.90"),
    "/metadata": (JSON, 'multipart/related; type="application/dicom+xml"'),
    "/rendered": ("image/png",),
    "/thumbnail": ("image/jpeg",),
    "/frames/1": ("*/*", "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"),
    "/bulkdata": ('multipart/related; type="application/octet-stream"',),
}
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_OF_INSTANCE = 7
"""Segments of the path of an instance, the version's among them."""
_DOCUMENT = {
    "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
    "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.66"]},
    "00080018": {"vr": "UI", "Value": ["1.2.3"]},
    "0020000D": {"vr": "UI", "Value": ["1.2.4"]},
    "0020000E": {"vr": "UI", "Value": ["1.2.5"]},
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]},
    "00100020": {"vr": "LO", "Value": ["P-1"]},
    "00101030": {"vr": "DS", "Value": [70.5, None, "1e3"]},
    "00400275": {"vr": "SQ", "Value": [{"00400007": {"vr": "LO", "Value": ["a"]}}, {}]},
    "00091002": {"vr": "UN", "InlineBinary": "AAECAw=="},
    "7FE00010": {"vr": "OB", "BulkDataURI": "f0"},
}
_XML = """<?xml version="1.0" encoding="UTF-8"?>
<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">
<DicomAttribute tag="00080016" vr="UI" keyword="SOPClassUID">
<Value number="1">1.2.840.10008.5.1.4.1.1.66</Value></DicomAttribute>
<DicomAttribute tag="00100010" vr="PN"><PersonName number="1">
<Alphabetic><FamilyName>Doe</FamilyName></Alphabetic></PersonName></DicomAttribute>
<DicomAttribute tag="00400275" vr="SQ"><Item number="1">
<DicomAttribute tag="00400007" vr="LO"><Value number="1">a</Value></DicomAttribute></Item></DicomAttribute>
</NativeDicomModel>"""
JSON_WORDS = [
    b"null",
    b"[]",
    b"{}",
    b'"vr":"SQ"',
    b'"Value":[',
    b"NaN",
    b"1e999",
    b'"\\ud800"',
    b"/*",
    b"[" * 2000,
    b'{"Value":' * 500,
]
XML_WORDS = [
    b"<Value/>", b"<f>", b"&#0;", b"&a;", b"<![CDATA[", b"<!DOCTYPE a [", b"<?x?>", b'encoding="utf-7"',
    b'number="4194303"', b"<Item>" * 300,
]  # fmt: skip  # a list of cases
LINES = [
    b"\r\n",
    b"--b\r\n",
    b"--b--",
    b"\r\n--b\r\n\r\n",
    b"Content-Type: application/dicom\r\n",
    b"Content-Location: f0\r\n",
]


def files() -> list[bytes]:
    """Small files of many kinds."""
    found = [path.read_bytes() for name in SAMPLES if (path := _path(name)).stat().st_size < 400_000]
    return [*found, part10(ct()), image(frames=3, bits=1).data, *_of_seeds("dicom")]


def _of_seeds(kind: str) -> list[bytes]:
    """The seeds of a kind that are instances, and what hunts have found beyond them."""
    return [data for data in (*seeds.kept(kind).values(), *seeds.found(kind)) if _is_instance(data)]


def _is_instance(data: bytes) -> bool:
    try:
        dataset = pydicom.dcmread(io.BytesIO(data), specific_tags=list(_UIDS))
        return all(4 < len(str(dataset[keyword].value)) <= 64 for keyword in _UIDS)
    except Exception:  # noqa: BLE001 - seeds are damaged files, too
        return False


def _path(name: str) -> Path:
    return Path(str(get_testdata_file(name)))


def own(data: bytes) -> bytes:
    """The file as another instance, so that it is no duplicate; itself if it cannot be read."""
    dataset = pydicom.dcmread(io.BytesIO(data), specific_tags=list(_UIDS))
    for keyword in _UIDS:
        known = str(dataset[keyword].value)
        data = data.replace(known.encode(), new_uid().ljust(64, "7")[: len(known)].encode())
    return data


def documents(chance, others: list[bytes]) -> tuple[bytes, str]:
    """A store of metadata and bulk data, and its Content-Type."""
    kind = chance.choice(("json", "xml"))
    text = (
        json.dumps([_DOCUMENT | {"00080018": {"vr": "UI", "Value": [new_uid()]}}]).encode()
        if kind == "json"
        else _XML.encode()
    )
    if chance.random() < 0.5:
        text = chance.choice([*seeds.kept(f"metadata-{kind}").values(), *seeds.found(f"metadata-{kind}")]).replace(
            b"1.2.3", new_uid().encode()
        )
    if chance.random() < 0.8:
        text = mutated(text, chance, [text], JSON_WORDS if kind == "json" else XML_WORDS)
    part = f"--b\r\nContent-Type: application/dicom+{kind}; transfer-syntax=1.2.840.10008.1.2.1\r\n\r\n".encode()
    bulk = b"\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Location: f0\r\n\r\n" + chance.randbytes(100)
    body = part + text + bulk + b"\r\n--b--\r\n"
    if chance.random() < 0.3:
        body = mutated(body, chance, others, LINES)
    return body, f'multipart/related; type="application/dicom+{kind}"; boundary=b'


def scratched(data: bytes, chance) -> bytes:
    """The file with a few bits turned behind its identifiers: most readers take it."""
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 5)):
        changed[chance.randrange(len(data) // 2, len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def message(chance, samples: list[bytes]) -> tuple[bytes, str]:
    """Some body for a store, and its Content-Type."""
    kind = chance.randrange(4)
    if kind == 0:
        return documents(chance, samples)
    whole = own(chance.choice(samples))
    one = scratched(whole, chance) if kind == 1 else mutated(whole, chance, samples)
    if kind == 1:
        return one, DICOM
    if kind == 2:
        body, content_type = multipart([one, own(chance.choice(samples))])
        return mutated(body, chance, samples, [b"\r\n", b"--", b"Content-Type: a\r\n", b"\r\n\r\n"]), content_type
    return one, DICOM


async def test_no_body_makes_a_store_or_a_later_read_fail(fresh_service):
    service = await fresh_service()
    watch = await Watch.begin(service)
    chance = noise()
    samples = files()
    seen: Counter[str] = Counter()

    async with ClientSession() as session:

        async def send(method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
            async with session.request(method, f"{service.url}/{path}", data=body, headers=headers) as response:
                try:
                    received = await response.read()
                except ClientPayloadError:
                    await check_frames_follow(path, headers["Accept"])
                    seen["broken off behind a first frame"] += 1
                    return response.status, b""
                if response.status >= 500:
                    raise AssertionError(f"{method} {path} {headers}: {response.status} {received[:500]!r}")
                seen[f"{method} {path.rpartition('/')[2] if path.count('/') > 6 else 'studies'} {response.status}"] += 1
                return response.status, received

        async def check_frames_follow(path: str, accept: str) -> None:
            """A broken-off answer is by design (WADO-28) only of a file of several frames: they are decoded while
            those before them are being sent.
            """
            second = f"{service.url}/{'/'.join(path.split('/')[:_OF_INSTANCE])}/frames/2"
            as_stored = {"Accept": "application/octet-stream; transfer-syntax=*"}
            async with session.get(second, headers=as_stored) as response:
                assert response.status == 200, f"GET {path} {accept}: the answer was broken off"

        async def try_one(body: bytes, content_type: str) -> None:
            version, method = chance.choice((("v1", "POST"), ("v2", "POST"), ("v2", "PUT")))
            headers = {"Content-Type": content_type, "Accept": JSON}
            try:
                status, received = await send(method, f"{version}/studies", body, **headers)
                if status in {200, 202} and received:
                    for item in json.loads(received).get("00081199", {}).get("Value", []):
                        path = item["00081190"]["Value"][0].removeprefix(service.url).lstrip("/")
                        for below, accepts in READ.items():
                            for accept in accepts:
                                await send("GET", path + below, Accept=accept)
                        await send("DELETE", "/".join(path.split("/")[:3]))
            except AssertionError as error:
                if content_type == DICOM:
                    seeds.remember("dicom", body, fails=True)
                raise AssertionError(
                    f"{error}\n{content_type}\n{body.hex() if len(body) < 50_000 else len(body)}"
                ) from error

        async def client(inputs: list[tuple[bytes, str]]) -> None:
            for body, content_type in inputs:
                await try_one(body, content_type)

        for _ in range(rounds(3000) // 300):
            inputs = [message(chance, samples) for _ in range(300)]
            await asyncio.gather(*(client(inputs[start::6]) for start in range(6)))
            await watch.look()
    print(f"{sorted(seen.items())}; at most {watch.most / 2**20:.0f} MiB, at first {watch.memory / 2**20:.0f}")
    assert sum(count for name, count in seen.items() if name.startswith("GET")) > 100, "too little was accepted"
