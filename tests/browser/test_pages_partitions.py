"""The pages of a service with data partitions."""

import pytest

from tests.browser.conftest import VIEWER, Pages, keep, store
from tests.browser.likeness import eventually, expected, likeness, shown
from tests.browser.test_ohif import THUMBNAIL
from tests.browser.test_pages import count, study


@pytest.mark.spec("VIEW-1", "VIEW-4")
async def test_a_partition_is_chosen_and_stands_in_every_link(request, browser, fresh_service):
    service = await fresh_service({"DATA_PARTITIONS_ENABLED": "true"})
    await store(service.url, study("North^Nina"), partition="north")
    await store(service.url, study("South^Sam"), partition="south")
    await browser("open")
    pages = Pages(browser, service.url)
    await pages.show("studies")
    await eventually(lambda: count(pages, "select[data-choose=partition] option[value=south]"), least=1)

    await pages.page("select", "select[data-choose=partition]", "south")
    await pages.page("visible", "tr.opens >> text=South, Sam")
    assert await pages.page("count", "tr.opens") == 1
    await pages.page("click", "tr.opens a")
    await pages.page("visible", ".series-card img")
    address = await pages.page("address")
    assert address.endswith("?partition=south")
    await pages.page("visible", "text=OHIF Viewer can be added to this service")  # this one has none
    assert await pages.page("count", "text=Open in viewer") == 0

    await pages.page("goto", "about:blank")
    await pages.page("goto", address)
    await pages.page("visible", "h1 >> text=South, Sam")
    await pages.page("click", "nav >> text=Change feed")
    await pages.page("click", "tbody tr >> nth=1 >> a")
    await pages.page("visible", "h1 >> text=North, Nina")
    assert await pages.page("value", "select[data-choose=partition]") == "north"
    await keep(request, browser)


@pytest.mark.spec("VIEW-4")
async def test_the_viewer_shows_a_study_of_the_partition_that_is_chosen(request, browser, fresh_service):
    service = await fresh_service({"DATA_PARTITIONS_ENABLED": "true", **VIEWER})
    south = study("South^Sam")
    await store(service.url, south, partition="south")
    await browser("open")
    pages = Pages(browser, service.url)
    await pages.show("studies?partition=south")

    await pages.page("click", "tr.opens >> text=Open in viewer")

    pixels = south.datasets[0].pixel_array
    wanted = expected(pixels, centre=float(pixels.mean()), width=float(pixels.max()))

    async def look():
        return likeness(shown(await pages.page.picture(THUMBNAIL), *pixels.shape), wanted)

    await eventually(look, least=0.9)
    await keep(request, browser)
