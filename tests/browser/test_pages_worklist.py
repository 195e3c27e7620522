"""The worklist in the pages: create, find, look at, request the cancellation (VIEW-5)."""

import pytest

from tests.browser.likeness import eventually
from tests.browser.test_pages import count


async def create(pages, label, station):
    await pages.show("worklist")
    await pages.page("click", "main button.primary")
    for name, value in {
        "label": label,
        "list": "Reading",
        "name": "Doe^Jane",
        "patient": "4711",
        "station": station,
    }.items():
        await pages.page("fill", f"dialog input[name={name}]", value)
    await pages.page("click", "dialog button.primary")
    await pages.page("visible", f"h1 >> text={label}")


@pytest.mark.spec("VIEW-5")
async def test_workitems_are_created_found_and_cancelled(pages):
    await create(pages, "Read chest CT", "CT1")
    await create(pages, "Find nodules", "NODULE-AI")
    await pages.page("visible", ".badge >> text=Scheduled")

    await pages.page("click", "main button.danger")
    await pages.page("fill", "dialog input", "The patient has left.")
    await pages.page("click", "dialog button.danger")
    await pages.page("visible", ".badge >> text=Cancelled")
    assert "The patient has left." in (await pages.page("texts", "tbody tr"))[-1]
    assert await pages.page("count", "main button.danger") == 0

    await pages.show("worklist")
    await eventually(lambda: count(pages, "tr.opens"), least=2)
    assert await pages.page("violations") == []
    await pages.page("select", "select[name=state]", "SCHEDULED")
    await pages.page("hidden", "tr.opens >> text=Find nodules")
    assert [row.split("\t")[0].splitlines()[0] for row in await pages.page("texts", "tr.opens")] == ["Read chest CT"]
    assert "state=SCHEDULED" in await pages.page("address")
    await pages.page("fill", "input[name=station]", "NOWHERE")
    await pages.page("visible", "text=No workitems found")
    await pages.page("fill", "input[name=patient]", "4711")
    assert "4711" not in await pages.page("address")


@pytest.mark.spec("VIEW-5", "VIEW-12")
async def test_values_of_a_workitem_are_text(pages):
    await create(pages, "<img src=x onerror=hurt()>", "<img onerror=a>")

    assert await pages.page("evaluate", "document.querySelectorAll('main img, [onerror]').length") == 0
    await pages.show("worklist")
    await pages.page("visible", "tr.opens >> text=<img src=x onerror=hurt()>")
    assert await pages.page("evaluate", "document.querySelectorAll('main img, [onerror]').length") == 0
