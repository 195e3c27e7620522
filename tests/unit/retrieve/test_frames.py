"""Frames: which bytes are read, and what is made of them."""

import struct

import pytest

from shared.dicom.errors import DamagedPixelData
from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.dicomweb.content_negotiation import parse_accept
from shared.errors import NotAcceptable, NotFound
from shared.index import documents
from shared.retrieve import deflated
from shared.retrieve import snapshot as snapshot_module
from shared.retrieve.frames import reading as frames_module
from shared.retrieve.frames.locating import locate
from shared.retrieve.frames.reading import read_frames
from shared.retrieve.negotiation import RetrievedResource, choices
from shared.retrieve.snapshot import LostFile, current, find_instance
from tests.builders.images import DEFL, EBE, ELE, ILE, J2K_LOSSLESS, JPEG, MPEG2, RLE, Image, image
from tests.builders.retrieve import ImageArchive, collected
from tests.builders.service import PARTITION

PIXELS = 'multipart/related; type="application/octet-stream"'
AS_STORED = f"{PIXELS}; transfer-syntax=*"


@pytest.fixture
def archive():
    return ImageArchive()


async def opened(archive, identifier, numbers, accept=AS_STORED, *, held=False):
    accepted = choices(RetrievedResource.FRAMES, parse_accept([accept]))

    async def attempt(snapshot):
        located = await locate(snapshot, numbers, accepted)
        return located, None if held else await read_frames(located)

    found = await current(await find_instance(archive.view, identifier, accepted), attempt)
    if found is None:
        raise NotFound
    return found


async def retrieved(archive, one, *numbers, accept=AS_STORED, held=False):
    located, found = await opened(archive, one.identifier, numbers, accept, held=held)
    if found is None:
        return located, None
    bodies = [await collected(found.first)]
    bodies += [await collected(body) async for body in found.rest]
    return located, bodies


@pytest.mark.spec("FRM-5")
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("syntax", [ILE, ELE, DEFL, EBE])
async def test_native_frames_are_pixels_in_little_endian_order(archive, syntax, bits):
    one = image(syntax=syntax, frames=4, size=(5, 7), bits=bits)
    await archive.store(one)
    located, bodies = await retrieved(archive, one, 2, 4, accept=PIXELS)
    assert bodies == [one.frames[1], one.frames[3]]
    assert located.encoding.transfer_syntax_uid == ELE


@pytest.mark.spec("FRM-5", "D-20")
async def test_big_endian_pixels_are_left_alone_when_they_are_asked_for_as_stored(archive):
    one = image(syntax=EBE, frames=2, bits=16)
    await archive.store(one)
    located, (body,) = await retrieved(archive, one, 2)
    assert located.encoding.transfer_syntax_uid == EBE
    assert body[1::2] == one.frames[1][::2]
    assert body[::2] == one.frames[1][1::2]


@pytest.mark.spec("FRM-5", "D-20")
async def test_big_endian_bytes_that_are_packed_in_words_are_sent_as_they_are_stored(archive):
    one = image(syntax=EBE, frames=2, bits=8, vr="OW")
    await archive.store(one)
    assert (await retrieved(archive, one, 1))[0].encoding.transfer_syntax_uid == EBE


@pytest.mark.spec("FRM-5")
@pytest.mark.parametrize("syntax", [ELE, DEFL])
async def test_frames_of_one_bit_pixels_begin_on_a_byte(archive, syntax):
    one = image(syntax=syntax, frames=9, size=(3, 5), bits=1)
    await archive.store(one)
    _, bodies = await retrieved(archive, one, *range(9, 0, -1), 3, accept=PIXELS)
    assert bodies == [*reversed(one.frames), one.frames[2]]


@pytest.mark.spec("FRM-5", "FRM-6")
@pytest.mark.parametrize("fragments", [1, 2, 5])
@pytest.mark.parametrize("offset_table", [True, False])
async def test_the_fragments_of_a_compressed_frame_are_joined(archive, fragments, offset_table):
    one = image(syntax=J2K_LOSSLESS, frames=4, fragments=fragments, offset_table=offset_table)
    await archive.store(one)
    located, bodies = await retrieved(archive, one, 4, 1, 1)
    assert bodies == [one.frames[3], one.frames[0], one.frames[0]]
    assert located.encoding.content_type == f"application/octet-stream; transfer-syntax={J2K_LOSSLESS}"


@pytest.mark.spec("FRM-7")
@pytest.mark.parametrize("syntax", [ELE, JPEG])
async def test_one_frame_costs_one_row_and_its_own_bytes(archive, syntax):
    one = image(syntax=syntax, frames=50, size=(60, 70))
    await archive.store(one)
    archive.forget()
    _, (body,) = await retrieved(archive, one, 30)
    assert body == one.frames[29]
    assert archive.tables.requests == 1
    assert len(archive.blobs.calls) == 1
    assert archive.blobs.bytes_read <= len(body) + 64 * 1024
    assert archive.blobs.bytes_read <= len(body) + 8


@pytest.mark.spec("WADO-27", "FRM-7")
async def test_many_frames_are_fetched_together_and_each_once(archive):
    one = image(frames=40, size=(50, 50))
    await archive.store(one)
    archive.forget()
    wanted = [*range(1, 21), 5, 5, 40]
    _, bodies = await retrieved(archive, one, *wanted)
    assert bodies == [one.frames[number - 1] for number in wanted]
    assert archive.blobs.calls == ["read_ranges"]
    assert [length for _, _, length in archive.blobs.ranges] == [20 * 2500, 2500]


@pytest.mark.spec("WADO-27")
async def test_frames_come_in_batches_of_bounded_size_and_in_order(archive, monkeypatch):
    monkeypatch.setattr(frames_module, "_BATCH", 10_000)
    one = image(frames=30, size=(50, 50))
    await archive.store(one)
    archive.forget()
    wanted = [number for number in range(30, 0, -1) for _ in range(2)]
    _, bodies = await retrieved(archive, one, *wanted)
    assert bodies == [one.frames[number - 1] for number in wanted]
    assert len(archive.blobs.calls) == 15
    assert archive.blobs.bytes_read == 30 * 2500


@pytest.mark.spec("WADO-26", "FRM-5")
@pytest.mark.parametrize("syntax", [ELE, JPEG])
async def test_a_frame_above_the_size_of_a_batch_is_streamed(archive, monkeypatch, syntax):
    monkeypatch.setattr(frames_module, "_BATCH", 100)
    one = image(syntax=syntax, frames=3, size=(40, 40), fragments=3)
    await archive.store(one)
    archive.forget()
    _, bodies = await retrieved(archive, one, 2, 1, 3)
    assert bodies == [one.frames[1], one.frames[0], one.frames[2]]
    assert archive.blobs.calls == ["open"] * 3


@pytest.mark.spec("FRM-5")
async def test_a_frame_that_is_too_large_to_be_converted_is_refused(archive, monkeypatch):
    monkeypatch.setattr(frames_module, "_WHOLE", 10)
    one = image(syntax=EBE, frames=3, bits=16)
    await archive.store(one)
    with pytest.raises(NotAcceptable):
        await retrieved(archive, one, 1, accept=PIXELS)
    assert (await retrieved(archive, one, 1))[1] is not None


@pytest.mark.spec("FRM-2", "FRM-3")
async def test_frames_that_do_not_exist_are_not_found(archive):
    one, none = image(frames=2), image(frames=0)
    packed = image(frames=2, syntax=DEFL)
    await archive.store(one, none, packed)
    archive.forget()
    for missing, number in ((one, 3), (none, 1), (packed, 3)):
        with pytest.raises(NotFound):
            await retrieved(archive, missing, 1, number)
    with pytest.raises(NotFound):
        await retrieved(archive, Image(InstanceIdentifier("1", "2", "3"), ELE, b""), 1)
    assert archive.blobs.bytes_read <= len(packed.data)


@pytest.mark.spec("META-10")
async def test_a_frame_that_the_client_holds_is_not_read(archive):
    one = image(frames=2)
    await archive.store(one)
    archive.forget()
    located, bodies = await retrieved(archive, one, 1, held=True)
    assert bodies is None
    assert located.snapshot.identifier == one.identifier
    assert archive.blobs.calls == []


@pytest.mark.spec("FRM-7")
async def test_frames_without_a_table_are_found_once_by_reading_the_file(archive):
    one = image(syntax=JPEG, frames=4, fragments=3, offset_table=False)
    await archive.without_table(one)
    archive.forget()
    for number in (3, 1, 4):
        _, found = await opened(archive, one.identifier, (number,))
        assert found.first == one.frames[number - 1]
    assert [length for _, _, length in archive.blobs.ranges].count(len(one.data)) == 1


@pytest.mark.spec("FRM-7")
async def test_frames_are_told_apart_by_their_end_where_their_beginning_does_not(archive):
    one = image(syntax=JPEG, frames=3, fragments=2, offset_table=False)
    odd = Image(one.identifier, JPEG, one.data.replace(b"\xff\xd8", b"\xfe\xd8"), ())
    await archive.store(odd)
    archive.forget()
    _, bodies = await retrieved(archive, odd, 3, 1)
    assert bodies == [b"\xfe\xd8" + one.frames[2][2:], b"\xfe\xd8" + one.frames[0][2:]]


@pytest.mark.spec("FRM-7")
async def test_fragments_that_do_not_tell_frames_apart_are_refused(archive):
    one = image(syntax=RLE, frames=3, fragments=2, offset_table=False)
    data = one.data.replace(b"\xff\xd8", b"\x00\x00").replace(b"\xff\xd9", b"\x00\x00")
    await archive.store(Image(one.identifier, RLE, data))
    with pytest.raises(NotAcceptable):
        await retrieved(archive, one, 1)


@pytest.mark.spec("FRM-10")
async def test_a_video_stream_is_one_frame(archive):
    one = image(syntax=MPEG2, frames=1, NumberOfFrames=25)
    await archive.store(one)
    located, bodies = await retrieved(archive, one, 1, accept="*/*")
    assert bodies == [one.frames[0]]
    assert located.encoding.media_type == "video/mpeg2"
    with pytest.raises(NotAcceptable):
        await retrieved(archive, one, 2)
    with pytest.raises(NotFound):
        await retrieved(archive, one, 26)


@pytest.mark.spec("FRM-7")
@pytest.mark.parametrize("syntax", [DEFL, JPEG])
async def test_a_file_that_is_too_large_to_be_read_whole_is_refused(archive, monkeypatch, syntax):
    monkeypatch.setattr(snapshot_module, "WHOLE", 100)
    one = image(syntax=syntax, frames=3, fragments=2, offset_table=False)
    await archive.without_table(one)
    archive.forget()
    with pytest.raises(NotAcceptable):
        await retrieved(archive, one, 1)
    assert archive.blobs.calls == []


@pytest.mark.spec("FRM-7")
async def test_a_deflated_file_is_not_inflated_without_limit(archive, monkeypatch):
    one = image(syntax=DEFL, frames=2, ImageComments="a" * 9000)
    assert len(one.data) < 2000
    await archive.store(one)
    monkeypatch.setattr(deflated, "WHOLE", 5000)
    with pytest.raises(NotAcceptable):
        await retrieved(archive, one, 1)


@pytest.mark.spec("FRM-7")
async def test_a_table_that_is_too_large_for_the_index_is_read_only_where_it_is_needed(archive, monkeypatch):
    monkeypatch.setattr(documents, "INLINE_FRAMES", 10)
    one = image(syntax=JPEG, frames=300)
    await archive.store(one)
    stored = await archive.lookup.instance(PARTITION, one.identifier, metadata=False)
    assert (stored.frames, stored.frames_in_blob) == (None, 300)
    archive.forget()
    _, bodies = await retrieved(archive, one, 300, 17)
    assert bodies == [one.frames[299], one.frames[16]]
    assert archive.blobs.bytes_read <= sum(map(len, bodies)) + 2 * (16 + 8)
    with pytest.raises(NotFound):
        await retrieved(archive, one, 301)


@pytest.mark.spec("FRM-9", "DEL-6", "WADO-29")
async def test_frames_of_a_deleted_instance_are_gone_at_once(archive):
    one = image(frames=2)
    await archive.store(one)
    await retrieved(archive, one, 1)
    await archive.index.delete(PARTITION, ResourceIdentifier(one.identifier.study_instance_uid))
    with pytest.raises(NotFound):
        await retrieved(archive, one, 1)


@pytest.mark.spec("PUT-2", "FRM-9")
async def test_frames_of_an_instance_that_is_replaced_meanwhile_are_those_of_the_new_version(archive):
    one = image(frames=2)
    await archive.store(one)
    old = await archive.blob_of(one)
    newer = Image(one.identifier, ELE, one.data.replace(one.frames[1], bytes(48)), (one.frames[0], bytes(48)))

    async def replace_it(_, operation):
        archive.blobs.before = None
        await archive.store(newer, replace_existing=True)
        await archive.blobs.delete(old)

    archive.blobs.before = replace_it
    assert (await retrieved(archive, one, 2))[1] == [bytes(48)]


@pytest.mark.spec("D-41", "ERR-4")
async def test_a_lost_or_damaged_file_is_a_fault(archive):
    one, short, odd = image(frames=2), image(frames=2), image(syntax=JPEG)
    await archive.store(one, short, odd)
    await archive.blobs.delete(await archive.blob_of(one))
    archive.blobs.drop(await archive.blob_of(short), short.data[:-60])
    item = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(odd.frames[0]))
    archive.blobs.drop(await archive.blob_of(odd), odd.data.replace(item, bytes(8)))
    with pytest.raises(LostFile):
        await retrieved(archive, one, 1)
    for damaged, number in ((short, 2), (odd, 1)):
        with pytest.raises(DamagedPixelData):
            await retrieved(archive, damaged, number)


@pytest.mark.spec("WADO-28")
async def test_closing_early_stops_reading(archive, monkeypatch):
    monkeypatch.setattr(frames_module, "_BATCH", 2500)
    one = image(frames=30, size=(50, 50))
    await archive.store(one)
    archive.forget()
    _, found = await opened(archive, one.identifier, tuple(range(1, 31)))
    await anext(found.rest)
    await found.rest.aclose()
    assert len(archive.blobs.calls) <= 4
