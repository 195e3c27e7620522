"""The pages for everybody: by keyboard alone, enlarged, without motion, in any script (VIEW-13, VIEW-14)."""

import pytest

from tests.browser.conftest import store
from tests.browser.test_pages import PLACES, count, names, study
from tests.builders.images import new_uid

WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
CUT = """[...document.querySelectorAll('#shell *')].filter((one) => one.checkVisibility()
  && one.scrollWidth > one.clientWidth + 1 && ['hidden', 'clip'].includes(getComputedStyle(one).overflowX)
  && one.textContent.trim() && !one.closest('.hidden-text')).map((one) => one.outerHTML.slice(0, 120))"""
"""What has text that is cut off."""
BEYOND = """[...document.querySelectorAll('#shell a, #shell button, #shell input, #shell select, #shell summary')]
  .filter((one) => one.checkVisibility() && !one.closest('.table-box') && (one.getBoundingClientRect().right
  > document.documentElement.clientWidth + 1 || one.getBoundingClientRect().left < -1))
  .map((one) => one.outerHTML.slice(0, 120))"""
"""What can be used and lies beyond the edge of the window; tables are moved in boxes of their own."""
MOVING = "document.getAnimations().filter((one) => one.playState === 'running').length"
ZOOM = {"200 %": (640, 320), "400 %": (320, 256)}
"""A window of 1280 by 640 (at 400 % one of 1280 by 1024) enlarged, in pixels of CSS (WCAG 2.2 §1.4.4, §1.4.10)."""


async def every_place(pages, archive):
    """Shows every page, one after the other; the study has series, thumbnails, labels."""
    for place in (*PLACES, f"studies/{archive.ct.study_instance_uid}"):
        await pages.show(place)
        await pages.page("hidden", ".spinner")
        yield place


@pytest.mark.spec("VIEW-13")
async def test_everything_on_every_page_is_reached_by_keyboard_and_shows_that_it_is(pages, archive):
    found = {}
    async for place in every_place(pages, archive):
        walked = await pages.page("walk")
        assert walked["count"] > 15, place
        found[place] = walked["missed"], walked["unseen"]

    assert {place: faults for place, faults in found.items() if any(faults)} == {}


@pytest.mark.spec("VIEW-13")
async def test_dialogs_are_opened_left_and_gone_through_by_keyboard(pages, archive):
    await pages.show(f"studies/{archive.ct.study_instance_uid}", "text=Download as zip")
    for words in ("Share", "Delete"):
        opener = f"[...document.querySelectorAll('main button')].find((one) => one.textContent.includes('{words}'))"
        await pages.page("evaluate", f"{opener}.focus()")
        await pages.page("press", "Enter")
        await pages.page("visible", "dialog[open]")
        inside = "Boolean(document.activeElement.closest('dialog'))"
        assert await pages.page("evaluate", inside), words
        for _ in range(20):
            await pages.page("press", "Tab")
            assert await pages.page("evaluate", f"{inside} || document.activeElement === document.body"), words
        await pages.page("press", "Escape")
        await pages.page("hidden", "dialog")
        assert await pages.page("evaluate", f"document.activeElement === {opener}"), words


@pytest.mark.spec("VIEW-13", "VIEW-14")
@pytest.mark.parametrize("zoom", ZOOM)
async def test_nothing_is_lost_when_a_page_is_enlarged(pages, archive, zoom):
    await pages.page("size", *ZOOM[zoom])
    found = {}
    async for place in every_place(pages, archive):
        found[place] = [await pages.page("evaluate", each) for each in (WIDE, CUT, BEYOND)]
    await pages.page("click", ".menu-button")
    await pages.page("visible", ".side-foot select")
    found["menu"] = [await pages.page("evaluate", each) for each in (WIDE, CUT, BEYOND)]
    await pages.show(f"studies/{archive.ct.study_instance_uid}", "text=Download as zip")
    await pages.page("click", "main button:has-text('Share')")
    await pages.page("click", "dialog .row.end button:not(.primary)")  # which lies below what fits
    await pages.page("size", 1280, 640)

    assert {place: faults for place, faults in found.items() if faults != [0, [], []]} == {}


@pytest.mark.spec("VIEW-13")
async def test_text_grows_with_the_size_that_somebody_prefers(pages, archive):
    """Of browsers that enlarge text alone: the size of the root is that of the browser, and all others follow it."""
    await pages.show("studies")
    await names(pages)
    size = "Number.parseFloat(getComputedStyle(document.querySelector('tr.opens th a')).fontSize)"
    usual = await pages.page("evaluate", size)
    await pages.page("evaluate", "document.documentElement.style.setProperty('font-size', '187.5%')")

    assert await pages.page("evaluate", size) == 2 * usual
    assert await pages.page("evaluate", CUT) == []


@pytest.mark.spec("VIEW-13")
async def test_nothing_moves_for_who_wants_no_motion(pages, archive):
    await pages.page("hold", "**/v2/studies?**")
    moving = {}
    for wish in ("no-preference", "reduce"):
        await pages.page("motion", wish)
        await pages.show("studies", ".spinner")
        moving[wish] = await pages.page("evaluate", MOVING)
    await pages.page("release")
    await pages.page("unroute")
    async for place in every_place(pages, archive):
        moving[place] = await pages.page("evaluate", MOVING)
    await pages.page("click", ".series-card >> text=Preview")
    moving["dialog"] = await pages.page("evaluate", MOVING)

    assert moving.pop("no-preference") > 0  # what turns for everybody else
    assert {place: many for place, many in moving.items() if many} == {}


@pytest.mark.spec("VIEW-13", "VIEW-12")
async def test_names_of_any_script_and_length_are_shown_whole(pages, archive):
    long = "Verylongname" * 5
    arabic, chinese = "فيصل^أحمد", "Wang^XiaoDong=王^小东"
    description = "וצר של החזה " + "e" * 50
    written = {arabic: "فيصل, أحمد", chinese: "Wang, XiaoDong · 王, 小东", f"{long}^{long[:3]}": f"{long}, {long[:3]}"}
    made = []
    for name in written:
        made.append(study(name, SpecificCharacterSet="ISO_IR 192", StudyDescription=description, PatientID=new_uid()))
        await store(archive.url, made[-1])
    await pages.page("size", 320, 640)
    for one, shown in zip(made, written.values(), strict=True):
        await pages.show(f"studies/{one.study_instance_uid}", ".series-card")
        assert await pages.text("main h1") == shown
        assert await pages.text("main .lead bdi") == description
        assert [await pages.page("evaluate", each) for each in (WIDE, CUT, BEYOND)] == [0, [], []], shown
    await pages.page("size", 1280, 640)

    await pages.show(f"studies/{made[0].study_instance_uid}", ".series-card")
    direction = "getComputedStyle(document.querySelector('main h1')).direction"
    assert await pages.page("evaluate", direction) == "rtl"
    await pages.show("studies")
    await names(pages)
    await pages.page("fill", "input[name=name]", "王")
    await pages.page("visible", "tr.opens >> text=王, 小东")
    await pages.page("hidden", "tr.opens >> text=Birch")


@pytest.mark.spec("VIEW-14", "VIEW-1")
async def test_a_page_asks_for_little_and_draws_no_more_than_it_shows(pages, archive):
    """However many studies there are: `make bench ARGS=pages` has 5,000 of them."""
    for number in range(26):
        await store(archive.url, study(f"Many^{number:02}", StudyDescription="Many"))
    asked, drawn = {}, {}
    for place, (ready, least) in {"": ("table tbody tr", 1), "studies": ("tr.opens", 25)}.items():
        before = len(await pages.page("exchanges"))
        _, drawn[place] = await pages.page("ready", f"{pages.url}/ui/{place and f'#/{place}'}", ready, least)
        await pages.page("visible", "nav >> text=Query tags")
        asked[place] = [one["url"] for one in (await pages.page("exchanges"))[before:] if "/v2/" in one["url"]]

    assert await count(pages, "tr.opens") == 25
    assert {place: len(urls) for place, urls in asked.items() if len(urls) > 5} == {}, asked
    assert max(drawn.values()) < 1500
