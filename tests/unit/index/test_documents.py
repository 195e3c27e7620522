"""Metadata documents and frame tables beside an instance (storage §4)."""

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dicom.identifiers import InstanceIdentifier
from shared.dicom.part10.frames import FrameTable
from shared.index import documents
from shared.index.model import NewInstance
from shared.index_schema.preset_dictionary import PRESET_DICTIONARIES
from shared.storage import large_values
from tests.builders.service import PARTITION
from tests.unit.index.service import IndexService


@given(st.binary(max_size=5000))
@settings(max_examples=100)
def test_a_compressed_document_comes_back(document: bytes) -> None:
    assert documents.decompress(documents.compress(document)) == document


def test_a_document_of_every_dictionary_can_be_read() -> None:
    """Stored documents name the dictionary that they were made with: an entry must never change."""
    assert sorted(PRESET_DICTIONARIES) == [1]
    assert len(PRESET_DICTIONARIES[1]) <= 32_768


def test_a_usual_document_is_stored_small() -> None:
    elements = {
        tag: {"vr": "CS", "Value": ["ORIGINAL"]}
        for tag in ("00080008", "00080060", "00181020", "00280004", "00281050", "00281051", "00200032", "00200037")
    }
    document = orjson.dumps(elements)
    assert len(documents.compress(document)) < len(document) / 3


@given(st.binary(max_size=200_000))
@settings(max_examples=20)
def test_bytes_are_cut_into_properties_and_joined(data: bytes) -> None:
    properties = large_values.split("md", data)
    assert all(isinstance(part, bytes) and len(part) <= 65_536 for part in properties.values())
    assert large_values.join("md", properties) == data


def entry(service: IndexService, metadata: bytes, frames: FrameTable | None = None) -> NewInstance:
    made = service.entry()
    return NewInstance(
        made.identifier, "1.2", "1.2.4", made.blob, 4, False, made.study, made.series, {}, metadata, frames
    )


async def round_trip(service: IndexService, new: NewInstance, *, inline: bool = True):
    moved = await documents.move_to_blobs(new, service.blobs, metadata_inline=inline)
    moved = await documents.move_to_blobs(moved, service.blobs, metadata_inline=inline)
    await service.store(moved)
    uid = InstanceIdentifier("1.1", "1.2", "1.3")
    stored = await service.lookup.instance(PARTITION, uid, metadata=True)
    assert stored is not None
    return stored


async def test_small_metadata_and_frame_tables_are_in_the_row() -> None:
    service = IndexService()
    table = FrameTable(3, offsets=(100, 300, 450, 900))
    stored = await round_trip(service, entry(service, b'{"a":1}', table))
    assert (stored.metadata, stored.frames, stored.frames_in_blob) == (b'{"a":1}', table, 0)
    assert await documents.read_metadata(stored, service.blobs) == b'{"a":1}'
    assert len(service.blobs.names()) == 1


async def test_large_metadata_are_beside_the_file() -> None:
    service = IndexService()
    import random

    document = random.Random(1).randbytes(400_000)
    stored = await round_trip(service, entry(service, document))
    assert stored.metadata is None
    assert await documents.read_metadata(stored, service.blobs) == document


async def test_long_metadata_that_compress_well_are_in_the_row() -> None:
    service = IndexService()
    document = orjson.dumps({"x": "y" * 600_000})
    stored = await round_trip(service, entry(service, document))
    assert stored.metadata == document


async def test_a_setting_keeps_all_metadata_beside_the_file() -> None:
    service = IndexService()
    stored = await round_trip(service, entry(service, b'{"a":1}'), inline=False)
    assert stored.metadata is None
    assert await documents.read_metadata(stored, service.blobs) == b'{"a":1}'


async def test_many_frame_offsets_are_beside_the_file_and_can_be_read_in_part() -> None:
    service = IndexService()
    import random

    noise = random.Random(1)
    offsets = [1000]
    for _ in range(60_000):
        offsets.append(offsets[-1] + noise.randrange(8, 100_000))
    table = FrameTable(60_000, offsets=tuple(offsets))
    stored = await round_trip(service, entry(service, b"{}", table))
    assert (stored.frames, stored.frames_in_blob) == (None, 60_000)
    ranges = await documents.read_frame_ranges(stored, service.blobs, range(0, 60_000, 6_000))
    assert ranges == [(offsets[at], offsets[at + 1]) for at in range(0, 60_000, 6_000)]


async def test_native_frames_of_any_number_are_in_the_row() -> None:
    service = IndexService()
    table = FrameTable(1_000_000, first=2000, bits=16 * 512 * 512)
    stored = await round_trip(service, entry(service, b"{}", table))
    assert stored.frames == table
