"""OHIF Viewer against the service, in a real browser, from another origin."""

import base64

import numpy as np
import pytest

from tests.browser import samples
from tests.browser.likeness import brightness_differs, eventually, expected, likeness, shown

VIEWPORT = ".viewport-element"
THUMBNAIL = "[data-cy=study-browser-thumbnail] img"


def hounsfield(dataset):
    return dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)


def rows(texts):
    """The cells of the list of studies, without its header and filters."""
    return [[cell for cell in map(str.strip, row.split("\t")) if cell] for row in texts if "-Jan-" in row]


async def looks_like(ohif, selector, wanted, size):
    """Waits until an element shows a picture."""

    async def look():
        return likeness(shown(await ohif.page.picture(selector), *size), wanted)

    await eventually(look, least=0.97)


async def asked(ohif, method="GET", *, part, times=1):
    """Waits for so many requests and their answers, and gives the first of them."""

    async def answered():
        return float(len(await ohif.exchanges(method, part)))

    await eventually(answered, least=times)
    return (await ohif.exchanges(method, part))[0]


async def test_the_list_shows_every_study_and_finds_a_name_typed_in_lower_case(ohif):
    await ohif.show_list()
    await ohif.page("visible", "text=Elm, Eve")

    listed = rows(await ohif.page("texts", "tbody tr"))
    assert len(listed) >= 6
    assert ["Alder, Ada", "31-Jan-2024", "SEG\\CT", "Chest CT", "6"] in listed
    assert ["Birch, Ben", "31-Jan-2024", "US", "Echo", "1"] in listed

    await ohif.page("fill", "thead input, tbody input", "alder")
    await asked(ohif, part="PatientName=*alder*")
    await ohif.page("visible", "text=1-2 of 2")
    assert {row[0] for row in rows(await ohif.page("texts", "tbody tr"))} == {"Alder, Ada"}


async def test_a_series_is_opened_from_the_list_and_scrolled_through(ohif, archive):
    await ohif.show_list()
    await ohif.page("doubleClick", 'tr:has-text("Chest CT")')
    slices = archive.ct.datasets[:-1]
    pictures = [expected(hounsfield(one), centre=100, width=2000) for one in slices]

    await looks_like(ohif, VIEWPORT, pictures[-1], (128, 128))
    exact = shown(await ohif.page.picture(VIEWPORT), 128, 128)
    assert brightness_differs(exact, pictures[-1]) < 8
    await looks_like(ohif, THUMBNAIL, pictures[2], (128, 128))
    for picture in reversed(pictures[:-1]):
        await ohif.page("scroll", VIEWPORT, 100)
        await looks_like(ohif, VIEWPORT, picture, (128, 128))

    assert await ohif.exchanges("OPTIONS") == []
    assert len({one.url for one in await ohif.exchanges(part="/frames/1")}) == len(slices)
    await ohif.page("visible", "text=Earlier MR")  # another study of the patient


async def test_every_transfer_syntax_is_the_same_picture(ohif, archive):
    await ohif.show(archive.codecs)
    wanted = expected(archive.codecs.datasets[0].pixel_array, centre=600, width=1600)

    await looks_like(ohif, VIEWPORT, wanted, (64, 64))
    for number in range(len(archive.codecs.datasets)):
        await looks_like(ohif, f"{THUMBNAIL} >> nth={number}", wanted, (64, 64))


@pytest.mark.parametrize("source", ["rendered", "thumbnail", "direct"])
async def test_thumbnails_may_be_made_by_the_service(ohif, archive, source):
    await ohif.show(archive.codecs, source=source)
    wanted = expected(archive.codecs.datasets[0].pixel_array, centre=600, width=1600)

    for number in range(len(archive.codecs.datasets)):
        await looks_like(ohif, f"{THUMBNAIL} >> nth={number}", wanted, (64, 64))

    resource = "/rendered?accept=image" if source == "rendered" else "/thumbnail?accept=image"
    await asked(ohif, part=resource, times=len(archive.codecs.datasets))


async def test_pictures_are_shown_in_the_transfer_syntax_that_is_configured(ohif, archive):
    await ohif.show(archive.codecs, source="transcoded")
    wanted = expected(archive.codecs.datasets[0].pixel_array, centre=600, width=1600)

    await looks_like(ohif, VIEWPORT, wanted, (64, 64))

    for one in await ohif.exchanges(part="/frames/"):
        assert "transfer-syntax=1.2.840.10008.1.2.4.80" in one.sent["accept"]


async def test_a_loop_is_shown_frame_by_frame(ohif, archive):
    await ohif.show(archive.ultrasound)
    frames = archive.ultrasound.datasets[0].pixel_array

    await looks_like(ohif, VIEWPORT, expected(frames[0], centre=128, width=256), (240, 320))
    await ohif.page("scroll", VIEWPORT, 100)
    await looks_like(ohif, VIEWPORT, expected(frames[1], centre=128, width=256), (240, 320))


async def test_a_segmentation_lies_over_its_images_when_accept_fields_are_quoted(ohif, archive):
    await ohif.show(archive.ct, source="quoted")
    last = expected(hounsfield(archive.ct.datasets[-2]), centre=100, width=2000)
    await looks_like(ohif, VIEWPORT, last, (128, 128))

    await ohif.page("doubleClick", "text=Square")

    async def reddened():
        red, green, _ = shown(await ohif.page.picture(VIEWPORT), 128, 128).transpose(2, 0, 1)
        inside = slice(20, 40)
        return float((red - green)[inside, inside].mean())

    await eventually(reddened, least=30)

    async def quoted():
        frames = await ohif.exchanges(part="/frames/")
        return frames + await ohif.exchanges(part=f"/instances/{archive.ct.datasets[-1].SOPInstanceUID}")

    async def each_was_asked_for_leave():
        leave = {one.url for one in await ohif.exchanges("OPTIONS") if one.status == 204}
        return float(leave == {one.url for one in await quoted()})

    await eventually(each_was_asked_for_leave, least=1)
    assert all('"' in one.sent["accept"] for one in await quoted())


async def test_documents_and_waveforms_are_shown(ohif, archive):
    await ohif.show(archive.documents, source="whole")
    await ohif.page("visible", "text=Waveform")

    async def white():
        picture = shown(await ohif.page.picture("[data-cy=viewport-grid]"), 1, 1)
        return float((picture > 200).mean())

    await eventually(white, least=0.5)  # the page of the letter
    assert await ohif.exchanges(part="/bulkdata/00420011")

    await ohif.page("doubleClick", "text=Report")
    await ohif.page("visible", "text=Recording Observer's Name")

    await ohif.page("doubleClick", "text=Waveform")
    await ohif.page("visible", VIEWPORT)

    async def drawn():
        return float(shown(await ohif.page.picture(VIEWPORT), 1, 1).std())

    await eventually(drawn, least=10)
    await asked(ohif, part="/bulkdata/54000100/1/54001010")
    assert await ohif.exchanges(part=f"{archive.documents.study_instance_uid}/metadata")


@pytest.mark.spec("REND-10")
async def test_a_video_plays_and_is_moved_through(ohif, archive):
    await ohif.show(archive.video)
    picture = samples.video_picture()
    first_half = expected(picture, centre=127.5, width=255)
    second_half = expected(picture[:, ::-1], centre=127.5, width=255)
    await looks_like(ohif, VIEWPORT, first_half, (240, 320))

    await ohif.page("press", "c")
    await ohif.page("click", "[data-cy=cine-player-play-pause]")
    await looks_like(ohif, VIEWPORT, second_half, (240, 320))
    await looks_like(ohif, VIEWPORT, first_half, (240, 320))  # it begins again

    async def further_on():
        await ohif.page("scroll", VIEWPORT, 100)
        return likeness(shown(await ohif.page.picture(VIEWPORT), 240, 320), second_half)

    await eventually(further_on, least=0.97)
    rendered = await asked(ohif, part="/rendered")
    assert rendered.sent["range"] == "bytes=0-"
    assert (rendered.status, rendered.received["content-type"].partition(";")[0]) == (206, "video/mp4")


async def test_an_image_without_modality_is_shown(ohif, archive):
    await ohif.show(archive.bare)
    image = archive.bare.datasets[0]

    await looks_like(ohif, VIEWPORT, expected(image.pixel_array, centre=600, width=1600), (64, 64))


async def test_a_slide_is_put_together_from_its_tiles(ohif, archive):
    await ohif.show(archive.slide, mode="microscopy")
    size = 8 * samples.TILE
    # The slide's x axis points up in the picture as displayed, so it is turned by half.
    wanted = expected(np.rot90(samples.slide_picture(8), 2), centre=127.5, width=255)

    await looks_like(ohif, "canvas", wanted, (size, size))

    tiles = await ohif.exchanges(part="/frames/")
    assert len(tiles) >= 64
    assert {one.received["content-type"].partition(";")[0] for one in tiles} == {"multipart/related"}


async def test_a_file_is_uploaded(ohif):
    new = samples.sample("MR_small.dcm", **samples.patient("Fir^Flo", StudyDescription="Uploaded"))
    await ohif.show_list()
    await ohif.page("click", "text=Upload")
    await ohif.page("choose", "input[type=file]", "new.dcm", base64.b64encode(samples.written(new)).decode())

    post = await asked(ohif, "POST", part="/studies")
    assert post.status == 200
    assert post.sent["content-type"].startswith('multipart/related; type="application/dicom"; boundary="')
    await ohif.show_list()
    await ohif.page("visible", "text=Fir, Flo")
