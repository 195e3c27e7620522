"""Files that nobody wrote for these tests, whole and damaged."""

import asyncio
import random
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import data as pydicom_data

from shared.dicom.part10.file_reader import InvalidPart10, Part10Reader, second_opinion
from shared.dicom.reasons import FailureReason, WarningReason
from shared.dicomweb.versions import ApiVersion
from shared.ingest import part10_upload as receiver
from shared.store.request import SingleFile
from tests.builders.files import PATIENT_ID, STUDY_DATE, file
from tests.builders.images import JPEG, RLE, image
from tests.builders.store import StoreService

_TEST_FILES = Path(pydicom_data.__file__).parent / "test_files"
SAMPLES = sorted(path for path in _TEST_FILES.rglob("*") if path.is_file() and path.suffix in {".dcm", ""})


def is_part10(data):
    return data[128:132] == b"DICM"


@pytest.mark.spec("STOW-12", "STOW-13", "STOW-14")
@pytest.mark.parametrize("version", ApiVersion)
async def test_every_sample_is_kept_byte_for_byte_or_gets_a_reason(version):
    service = StoreService()
    stored = 0
    for path in SAMPLES:
        data = path.read_bytes()
        outcome = await service.store_one(data, version=version, replace=True)
        if outcome.failure is None:
            assert is_part10(data)
            assert await service.content(outcome.identifier) == bytes(128) + data[128:]
            stored += 1
        else:
            assert outcome.failure is FailureReason.VALIDATION_FAILURE, path.name
            assert outcome.comments or not is_readable(path), path.name
    assert stored > len(SAMPLES) / 2


def is_readable(path):
    """Whether anybody here can read the file."""
    data = path.read_bytes()
    for reads in (read, second_opinion):
        with suppress(InvalidPart10):
            reads(data)
            return True
    return False


def read(data):
    """What the reader of the store makes of a whole file."""
    reader = Part10Reader(strict=False)
    reader.feed(data)
    return reader.finish()


SOUND = [file().data, image(frames=2, bits=16).data, image(frames=3, syntax=JPEG).data, image(syntax=RLE).data]


@pytest.mark.spec("STOW-12", "STOW-33")
@settings(max_examples=100)
@given(
    which=st.integers(0, len(SOUND) - 1),
    seed=st.integers(0, 2**32),
    changes=st.integers(1, 20),
    cut=st.one_of(st.none(), st.integers(0, 2000)),
)
def test_a_damaged_file_is_stored_or_gets_a_reason(which, seed, changes, cut):
    noise = random.Random(seed)
    data = bytearray(SOUND[which])
    for _ in range(changes):
        data[noise.randrange(len(data))] = noise.randrange(256)
    damaged = bytes(data if cut is None else data[:cut])

    async def run():
        service = StoreService()
        outcome = await service.store_one(damaged)
        if outcome.failure is None:
            kept = damaged if damaged[:128] == bytes(128) else bytes(128) + damaged[128:]
            assert await service.content(outcome.identifier) == kept
        else:
            assert outcome.failure is FailureReason.VALIDATION_FAILURE
            assert service.blobs.names() == []

    asyncio.run(run())


@pytest.mark.spec("STOW-13", "STOW-15")
@pytest.mark.parametrize("chunk", [1000, 64 * 1024])
async def test_a_file_that_only_a_tolerant_reader_understands_is_stored_as_it_is(chunk):
    one = file()
    odd = one.data + b"\n"
    with pytest.raises(InvalidPart10):
        read(odd)
    service = StoreService()

    [outcome] = await service.send(odd, SingleFile(), chunk=chunk)

    assert outcome.failure is None
    assert await service.content(one.identifier) == odd
    assert b'"00100020"' in (await service.instance(one.identifier)).metadata


@pytest.mark.spec("STOW-13", "STOW-15")
async def test_what_a_tolerant_reader_finds_is_judged_like_anything_else():
    service = StoreService()

    outcome = await service.store_one(file({STUDY_DATE: "NotADate"}).data + b"\n")

    assert outcome.warning is WarningReason.ATTRIBUTES_INVALID
    assert (await service.store_one(file({PATIENT_ID: None}).data + b"\n")).comments


@pytest.mark.spec("STOW-12")
async def test_the_tolerant_reader_is_asked_about_files_up_to_a_limit(monkeypatch):
    monkeypatch.setattr(receiver, "HELD_BYTES_UNREADABLE", 2000)
    monkeypatch.setattr(receiver, "HELD_BYTES", 2000)
    service = StoreService()

    small = await service.store_one(file().data + b"\n")
    large = await service.store_one(image(size=(60, 60)).data + b"\n")

    assert small.failure is None
    assert large.failure is FailureReason.VALIDATION_FAILURE
    assert len(service.blobs.names()) == 1
