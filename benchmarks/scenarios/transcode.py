"""Pixels (PS3.18 §8.7.3.5, §10.4.1.1.3): instances and frames transcoded, frames as stored, pictures.

Beside each stands what a plain loop over pydicom takes for the same work, without a service around it.
"""

import io
import time
import warnings
from collections.abc import Callable

import numpy as np
import pydicom
from openjpeg.utils import encode_array
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from benchmarks import instances
from benchmarks.client import Client
from benchmarks.measure import Bench
from benchmarks.service import LocalService

_STUDY = 6_000_000
_OBJECTS = 20
_FRAMES = 100
_SYNTAXES = {
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "HTJ2K": "1.2.840.10008.1.2.4.201",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
    "RLE": "1.2.840.10008.1.2.5",
}
_FRAME_TYPES = {"JPEG-LS": "image/jls", "HTJ2K": "image/jphc", "JPEG 2000": "image/jp2", "RLE": "image/dicom-rle"}
_STORED = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'


async def run(bench: Bench, client: Client, service: LocalService | None) -> None:
    """Stores what it needs first."""
    ct, many = instances.ct(), instances.multi_frame(_FRAMES)
    await client.store([ct.instance(_STUDY, 0, number) for number in range(_OBJECTS)])
    await client.store([many.instance(_STUDY + 1, 0, 0)])
    if service:
        await service.settle(bench.telemetry)
    await _frames(bench, client, many.content)
    for name in _SYNTAXES:
        await _transcoded(bench, client, name, ct.content)
    await _pictures(bench, client, ct.content)


async def _frames(bench: Bench, client: Client, content: bytes) -> None:
    """Frames of one object of a hundred, as they are stored."""
    frames = f"{instances.path(_STUDY + 1, 0, 0)}/frames"

    async def one(number: int) -> None:
        assert await client.get(f"{frames}/{number % _FRAMES + 1}", _STORED) > 500_000

    async def ten(number: int) -> None:
        first = number % (_FRAMES // 10) * 10 + 1
        numbers = ",".join(str(first + further) for further in range(10))
        assert await client.get(f"{frames}/{numbers}", _STORED) > 5_000_000

    loop = _plain(lambda number: pixel_array(io.BytesIO(content), index=number % _FRAMES).tobytes())
    await bench.run("1 stored frame of a hundred", one, bench.times(300), note=loop)
    await bench.run("1 stored frame of a hundred, 8 clients", one, bench.times(400), concurrency=8)
    await bench.run("10 stored frames of a hundred, per frame", ten, bench.times(100), per=10)


async def _transcoded(bench: Bench, client: Client, name: str, content: bytes) -> None:
    frames = f"{instances.path(_STUDY + 1, 0, 0)}/frames"

    async def instance(number: int) -> None:
        path = instances.path(_STUDY, 0, number % _OBJECTS)
        assert await client.get(path, f"application/dicom; transfer-syntax={_SYNTAXES[name]}") > 100_000

    async def frame(number: int) -> None:
        accept = f'multipart/related; type="{_FRAME_TYPES[name]}"'
        assert await client.get(f"{frames}/{number % _FRAMES + 1}", accept) > 100_000

    def compressed(_: int) -> None:
        dataset = pydicom.dcmread(io.BytesIO(content))
        if name == "JPEG 2000":  # with the encoder that pydicom's plug-in would call
            frame = encode_array(dataset.pixel_array, bits_stored=dataset.BitsStored, photometric_interpretation=2)
            dataset.PixelData = encapsulate([frame])
            dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
            dataset.file_meta.TransferSyntaxUID = UID(_SYNTAXES[name])
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about the SOP instance UID, which stays
                dataset.compress(UID(_SYNTAXES[name]), generate_instance_uid=False)
        dataset.save_as(io.BytesIO(), enforce_file_format=True)

    loop = "pydicom has no encoder for it" if name == "HTJ2K" else _plain(compressed)
    await bench.run(f"transcode 1 CT to {name}", instance, bench.times(100), note=loop)
    await bench.run(f"1 frame of a hundred to {name}", frame, bench.times(100))


async def _pictures(bench: Bench, client: Client, content: bytes) -> None:
    async def rendered(number: int) -> None:
        path = instances.path(_STUDY, 0, number % _OBJECTS)
        assert await client.get(f"{path}/rendered?quality=90", "image/jpeg") > 1000

    async def frame(number: int) -> None:
        path = f"{instances.path(_STUDY + 1, 0, 0)}/frames/{number % _FRAMES + 1}"
        assert await client.get(f"{path}/rendered?quality=90", "image/jpeg") > 1000

    async def thumbnail(number: int) -> None:
        assert await client.get(f"{instances.path(_STUDY, 0, number % _OBJECTS)}/thumbnail", "image/jpeg") > 500

    def in_eight_bits(_: int) -> None:
        dataset = pydicom.dcmread(io.BytesIO(content))
        values = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset).astype(float)
        np.rint((values - values.min()) / np.ptp(values) * 255).astype(np.uint8)

    loop = f"{_plain(in_eight_bits)}, to 8 bits and without making a JPEG"
    await bench.run("render 1 CT as JPEG", rendered, bench.times(200), note=loop)
    await bench.run("render 1 CT as JPEG, 8 clients", rendered, bench.times(400), concurrency=8)
    await bench.run("render 1 frame of a hundred as JPEG", frame, bench.times(200))
    await bench.run("thumbnail of 1 CT", thumbnail, bench.times(200))


def _plain(work: Callable[[int], object], times: int = 20) -> str:
    """Processor milliseconds that one `work` takes in a loop, after a first run that loads what it needs."""
    work(-1)
    started = time.process_time()
    for number in range(times):
        work(number)
    return f"plain pydicom: {(time.process_time() - started) * 1000 / times:.1f} ms CPU"
