"""The viewer of the service itself, on the origin of the pages and under the policy of its files (VIEW-4, VIEW-10).

Nothing may be asked elsewhere and no script may complain, of a policy that forbids what it does either: `pages` sees to
that.
"""

import json

import numpy as np
import pytest
from aiohttp import ClientSession

from tests.browser import samples
from tests.browser.likeness import eventually, expected, likeness, shown
from tests.browser.test_ohif import THUMBNAIL, VIEWPORT, hounsfield
from tests.browser.test_pages_shares import owner_token
from tests.browser.test_pages_sign_in import LATER, requests_of, sign_in


async def looks_like(pages, selector, wanted, size):
    """Waits until an element shows a picture."""

    async def look():
        return likeness(shown(await pages.page.picture(selector), *size), wanted)

    await eventually(look, least=0.97)


GREETED = (
    "localStorage.setItem('shownTours', '[\"basicViewerTour\"]');"
    "localStorage.setItem('investigationalUseDialog', '{\"expiryDate\": \"2100-01-01T00:00:00.000Z\"}')"
)
"""Of somebody who has seen the guided tour of the viewer and its notice, which lie over the picture."""


@pytest.fixture
async def pages(pages):
    await pages.page("goto", f"{pages.url}/ui/configuration.json")
    await pages.page("evaluate", GREETED)
    return pages


@pytest.fixture
async def guarded_pages(guarded_pages):
    await guarded_pages.page("goto", f"{guarded_pages.url}/ui/configuration.json")
    await guarded_pages.page("evaluate", GREETED)
    return guarded_pages


async def open_viewer(pages, study, mode="viewer", more=""):
    """Open a study by its address."""
    await pages.page("goto", f"{pages.url}/ui/viewer/{mode}?StudyInstanceUIDs={study.study_instance_uid}{more}")


@pytest.mark.spec("VIEW-4", "VIEW-11")
async def test_a_study_of_the_list_is_opened_and_its_pictures_are_seen(pages, archive):
    slices = archive.ct.datasets[:-1]
    pictures = [expected(hounsfield(one), centre=100, width=2000) for one in slices]
    await pages.show("studies")
    await pages.page("click", 'tr.opens:has-text("Chest CT") >> text=Open in viewer')

    await looks_like(pages, VIEWPORT, pictures[-1], (128, 128))
    await looks_like(pages, THUMBNAIL, pictures[2], (128, 128))
    for picture in reversed(pictures[:-1]):
        await pages.page("scroll", VIEWPORT, 100)
        await looks_like(pages, VIEWPORT, picture, (128, 128))

    await pages.page("back")
    await pages.page("visible", "tr.opens >> text=Alder")


@pytest.mark.spec("VIEW-4")
async def test_pictures_of_a_study_lead_to_the_viewer(pages, archive):
    await pages.show(f"studies/{archive.ultrasound.study_instance_uid}")
    await pages.page("visible", "a.primary >> text=Open in viewer")
    await pages.page("click", ".series-card .thumbnail")

    frames = archive.ultrasound.datasets[0].pixel_array
    await looks_like(pages, VIEWPORT, expected(frames[0], centre=128, width=256), (240, 320))
    assert archive.ultrasound.datasets[0].SeriesInstanceUID in await pages.page("address")


@pytest.mark.spec("VIEW-4", "VIEW-10")
async def test_every_transfer_syntax_is_decoded_under_the_policy(pages, archive):
    await open_viewer(pages, archive.codecs)
    wanted = expected(archive.codecs.datasets[0].pixel_array, centre=600, width=1600)

    await looks_like(pages, VIEWPORT, wanted, (64, 64))
    for number in range(len(archive.codecs.datasets)):
        await looks_like(pages, f"{THUMBNAIL} >> nth={number}", wanted, (64, 64))


@pytest.mark.spec("VIEW-4", "VIEW-10", "REND-10")
async def test_a_video_plays(pages, archive):
    await open_viewer(pages, archive.video)
    picture = samples.video_picture()
    first_half = expected(picture, centre=127.5, width=255)
    second_half = expected(picture[:, ::-1], centre=127.5, width=255)
    await looks_like(pages, VIEWPORT, first_half, (240, 320))

    await pages.page("press", "c")
    await pages.page("click", "[data-cy=cine-player-play-pause]")

    await looks_like(pages, VIEWPORT, second_half, (240, 320))


@pytest.mark.spec("VIEW-4", "VIEW-10")
async def test_a_document_and_a_waveform_are_shown_under_the_policy(pages, archive):
    await open_viewer(pages, archive.documents)
    await pages.page("visible", "text=Waveform")

    async def white():
        return float((shown(await pages.page.picture("[data-cy=viewport-grid]"), 1, 1) > 200).mean())

    await eventually(white, least=0.5)  # the page of the letter
    await pages.page("doubleClick", "text=Waveform")

    async def drawn():
        return float(shown(await pages.page.picture(VIEWPORT), 1, 1).std())

    await eventually(drawn, least=10)


@pytest.mark.spec("VIEW-4", "VIEW-10")
async def test_a_segmentation_lies_over_its_images(pages, archive):
    await open_viewer(pages, archive.ct)
    await looks_like(pages, VIEWPORT, expected(hounsfield(archive.ct.datasets[-2]), centre=100, width=2000), (128, 128))

    await pages.page("doubleClick", "text=Square")

    async def reddened():
        red, green, _ = shown(await pages.page.picture(VIEWPORT), 128, 128).transpose(2, 0, 1)
        return float((red - green)[20:40, 20:40].mean())

    await eventually(reddened, least=30)


@pytest.mark.spec("VIEW-4", "VIEW-10")
async def test_a_slide_is_opened_by_microscopy(pages, archive):
    await pages.show(f"studies/{archive.slide.study_instance_uid}")
    await pages.page("click", "a.primary >> text=Open in viewer")
    size = 8 * samples.TILE

    await looks_like(
        pages, "canvas", expected(np.rot90(samples.slide_picture(8), 2), centre=127.5, width=255), (size, size)
    )


@pytest.mark.spec("VIEW-4")
async def test_a_short_address_leads_to_a_study_and_without_one_to_the_list(pages, archive):
    await pages.page("goto", f"{pages.url}/viewer?StudyInstanceUIDs={archive.bare.study_instance_uid}")
    image = archive.bare.datasets[0]
    await looks_like(pages, VIEWPORT, expected(image.pixel_array, centre=600, width=1600), (64, 64))

    await pages.page("goto", f"{pages.url}/viewer")
    await pages.page("visible", "tr.opens")


@pytest.mark.spec("VIEW-4", "VIEW-9")
async def test_who_is_not_signed_in_signs_in_on_the_way_to_a_picture(guarded_pages, archive):
    slices = archive.ct.datasets[:-1]
    wanted = expected(hounsfield(slices[-1]), centre=100, width=2000)
    await open_viewer(guarded_pages, archive.ct)
    await guarded_pages.page("click", "a:text-is('reader')")

    await looks_like(guarded_pages, VIEWPORT, wanted, (128, 128))

    address = await guarded_pages.page("address")
    assert address.startswith(f"{guarded_pages.url}/ui/viewer/viewer?StudyInstanceUIDs={archive.ct.study_instance_uid}")
    kept = await guarded_pages.page("evaluate", "JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert "eyJ" not in kept
    assert [one["url"] for one in await guarded_pages.page("exchanges") if "eyJ" in one["url"]] == []


@pytest.mark.spec("VIEW-4", "VIEW-9")
async def test_the_viewer_renews_a_token_that_is_about_to_end(guarded_pages, archive):
    await sign_in(guarded_pages, "reader", f"studies/{archive.ct.study_instance_uid}")
    await guarded_pages.page("click", "a.primary >> text=Open in viewer")
    await guarded_pages.page("click", "a:text-is('reader')")
    wanted = expected(hounsfield(archive.ct.datasets[-2]), centre=100, width=2000)
    await looks_like(guarded_pages, VIEWPORT, wanted, (128, 128))
    before = len(await requests_of(guarded_pages, "/token"))

    await guarded_pages.page("evaluate", f"{LATER} document.dispatchEvent(new Event('visibilitychange'))")

    async def renewed():
        return float(len(await requests_of(guarded_pages, "/token")) - before)

    await eventually(renewed, least=1)


@pytest.mark.spec("VIEW-4", "VIEW-9")
async def test_a_video_plays_for_who_is_signed_in(guarded_pages, archive):
    await open_viewer(guarded_pages, archive.video)
    await guarded_pages.page("click", "a:text-is('reader')")
    picture = samples.video_picture()
    await looks_like(guarded_pages, VIEWPORT, expected(picture, centre=127.5, width=255), (240, 320))

    await guarded_pages.page("press", "c")
    await guarded_pages.page("click", "[data-cy=cine-player-play-pause]")

    await looks_like(guarded_pages, VIEWPORT, expected(picture[:, ::-1], centre=127.5, width=255), (240, 320))
    exchanges = await guarded_pages.page("exchanges")
    assert [one["url"] for one in exchanges if "eyJ" in one["url"]] == []


async def shared(guarded_pages, *studies, **members):
    """The answer to a request for a share, by the owner."""
    token = await owner_token(guarded_pages)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = json.dumps({"studies": [each.study_instance_uid for each in studies], "expiresIn": "PT1H", **members})
    async with (
        ClientSession() as session,
        session.post(f"{guarded_pages.url}/v2/shares", data=body, headers=headers) as answer,
    ):
        assert answer.status == 201, await answer.text()
        return await answer.json()


@pytest.mark.spec("VIEW-4", "SHR-8", "SHR-3")
async def test_opened_from_a_share_the_viewer_shows_the_shared_study_and_no_other(guarded_pages, archive):
    made = await shared(guarded_pages, archive.ct)
    await guarded_pages.page("goto", "about:blank")
    await guarded_pages.page("goto", made["url"])

    await guarded_pages.page("click", "a.primary >> text=Open in viewer")

    wanted = expected(hounsfield(archive.ct.datasets[-2]), centre=100, width=2000)
    await looks_like(guarded_pages, VIEWPORT, wanted, (128, 128))
    address = await guarded_pages.page("address")
    assert "authorize" not in address
    exchanges = await guarded_pages.page("exchanges")
    assert [one["url"] for one in exchanges if made["token"] in one["url"].partition("#")[0]] == []

    other = archive.ultrasound.study_instance_uid
    await guarded_pages.page("goto", "about:blank")
    await guarded_pages.page(
        "goto", f"{guarded_pages.url}/ui/viewer/viewer?StudyInstanceUIDs={other}#/share/{made['token']}"
    )

    async def refused():
        return float(len([one for one in await requests_of(guarded_pages, other) if one["status"] in {204, 404}]))

    await eventually(refused, least=1)
    shown_of = [one for one in await requests_of(guarded_pages, f"/{other}/") if one["status"] == 200]
    assert shown_of == []
    await guarded_pages.page("open")  # what the viewer says to its console of a study that is not there is no fault


@pytest.mark.spec("VIEW-4", "SHR-8")
async def test_opened_from_a_share_a_video_plays(guarded_pages, archive):
    made = await shared(guarded_pages, archive.video)
    await guarded_pages.page("goto", "about:blank")
    study = archive.video.study_instance_uid
    await guarded_pages.page(
        "goto", f"{guarded_pages.url}/ui/viewer/viewer?StudyInstanceUIDs={study}#/share/{made['token']}"
    )

    await looks_like(guarded_pages, VIEWPORT, expected(samples.video_picture(), centre=127.5, width=255), (240, 320))


@pytest.mark.spec("VIEW-4", "SHR-7", "SHR-8")
async def test_a_deidentified_share_is_opened_in_the_viewer(guarded_pages, archive):
    made = await shared(guarded_pages, archive.codecs, deidentified=True)
    headers = {"Authorization": f"Bearer {made['token']}"}

    async def ready():
        async with ClientSession() as session:
            chores = f"{guarded_pages.url}/admin/functions/housekeeping"
            async with session.post(chores, json={"input": ""}) as run:
                await run.read()
            async with session.get(f"{guarded_pages.url}/v2/studies", headers=headers) as answer:
                return float(answer.status == 200)

    await eventually(ready, least=1)
    await guarded_pages.page("goto", "about:blank")
    of_the_owner = len(await guarded_pages.page("exchanges"))
    await guarded_pages.page("goto", made["url"])
    await guarded_pages.page("click", "a.primary >> text=Open in viewer")

    wanted = expected(archive.codecs.datasets[0].pixel_array, centre=600, width=1600)
    await looks_like(guarded_pages, VIEWPORT, wanted, (64, 64))
    assert archive.codecs.study_instance_uid not in await guarded_pages.page("address")
    exchanges = (await guarded_pages.page("exchanges"))[of_the_owner:]
    assert exchanges
    assert [one["url"] for one in exchanges if archive.codecs.study_instance_uid in one["url"]] == []
