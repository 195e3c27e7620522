"""Pixels (PS3.18 §8.7.3.5, §10.4.1.1.3): an instance and a frame transcoded, a picture; and a plain pydicom loop."""

import io
import time

import numpy as np
import pydicom
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from benchmarks import instances
from benchmarks.client import Client
from benchmarks.measure import Bench
from benchmarks.service import LocalService

_STUDY = 6_000_000
_OBJECTS = 20
_SYNTAXES = {
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "HTJ2K": "1.2.840.10008.1.2.4.201",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
    "RLE": "1.2.840.10008.1.2.5",
}
_FRAME_TYPES = {"JPEG-LS": "image/jls", "HTJ2K": "image/jphc", "JPEG 2000": "image/jp2", "RLE": "image/dicom-rle"}


async def run(bench: Bench, client: Client, service: LocalService | None) -> None:
    """Stores what it needs first."""
    ct, many = instances.ct(), instances.multi_frame(100)
    await client.store([ct.instance(_STUDY, 0, number) for number in range(_OBJECTS)])
    await client.store([many.instance(_STUDY + 1, 0, 0)])
    if service:
        await service.settle(bench.telemetry)
    frames = f"{instances.path(_STUDY + 1, 0, 0)}/frames"

    for name, syntax in _SYNTAXES.items():

        async def instance(number: int, syntax: str = syntax) -> None:
            path = instances.path(_STUDY, 0, number % _OBJECTS)
            assert await client.get(path, f"application/dicom; transfer-syntax={syntax}") > 100_000

        async def frame(number: int, media_type: str = _FRAME_TYPES[name]) -> None:
            path = f"{frames}/{number % 100 + 1}"
            assert await client.get(path, f'multipart/related; type="{media_type}"') > 100_000

        await bench.run(f"transcode 1 CT to {name}", instance, bench.times(100))
        await bench.run(f"1 frame of a hundred to {name}", frame, bench.times(100))

    async def rendered(number: int) -> None:
        path = instances.path(_STUDY, 0, number % _OBJECTS)
        assert await client.get(f"{path}/rendered?quality=90", "image/jpeg") > 1000

    async def thumbnail(number: int) -> None:
        assert await client.get(f"{instances.path(_STUDY, 0, number % _OBJECTS)}/thumbnail", "image/jpeg") > 500

    await bench.run("render 1 CT as JPEG", rendered, bench.times(200), note=_plain_loop(ct.content))
    await bench.run("render 1 CT as JPEG, 8 clients", rendered, bench.times(400), concurrency=8)
    await bench.run("thumbnail of 1 CT", thumbnail, bench.times(200))


def _plain_loop(content: bytes, times: int = 20) -> str:
    """What a loop over pydicom takes for the same: CPU milliseconds to render, and to go through RLE and back."""
    started = time.process_time()
    for _ in range(times):
        dataset = pydicom.dcmread(io.BytesIO(content))
        values = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset).astype(float)
        np.rint((values - values.min()) / np.ptp(values) * 255).astype(np.uint8)
    rendered = time.process_time()
    for _ in range(times):
        dataset = pydicom.dcmread(io.BytesIO(content))
        assert dataset.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.save_as(io.BytesIO(), enforce_file_format=True)
    compressed = time.process_time()
    render_ms, rle_ms = ((end - begin) * 1000 / times for begin, end in ((started, rendered), (rendered, compressed)))
    return f"plain pydicom, without a service: {render_ms:.1f} ms CPU to 8 bits, {rle_ms:.1f} ms to RLE"
