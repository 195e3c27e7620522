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


@pytest.mark.spec("VIEW-5", "AIX-2", "AIX-7")
async def test_rules_are_made_tried_switched_off_and_deleted(pages, archive):
    await pages.show("worklist")
    await pages.page("click", "main a:has-text('Worklist rules')")
    await pages.page("visible", "h1 >> text=Worklist rules")
    await pages.page("click", "main button.primary")
    await pages.page("visible", "dialog label >> text=Series with")
    await pages.page("fill", "dialog input[name=name]", "Find <b>nodules</b>")
    await pages.page("fill", "dialog input[name=station]", "NODULE-AI")
    await pages.page("fill", "dialog textarea[name=filter]", "Modality=CT\nModality=PT")
    assert await pages.page("violations") == []
    await pages.page("click", "dialog button.primary")
    await pages.page("visible", "tbody th >> text=Find <b>nodules</b>")
    assert "Modality=PT" in (await pages.page("texts", "tbody tr"))[0]
    assert await pages.page("violations") == []

    await pages.page("click", "tbody button:has-text('Try')")
    await pages.page("fill", "dialog textarea", f"{archive.ct.study_instance_uid} 1.2.3")
    await pages.page("click", "dialog button.primary")
    await pages.page("visible", "dialog td >> text=A workitem")
    assert "No such study" in " ".join(await pages.page("texts", "dialog tbody tr"))
    await pages.page("click", "dialog .row.end button:not(.primary)")

    await pages.page("click", "tbody button:has-text('Change')")
    await pages.page("fill", "dialog input[name=quiet]", "30")
    await pages.page("click", "dialog button.primary")
    await pages.page("visible", "tbody th >> text=30 s after")
    assert "NODULE-AI" in (await pages.page("texts", "tbody tr"))[0]
    await pages.page("click", "tbody button:has-text('Switch off')")
    await pages.page("visible", "tbody .badge >> text=Off")
    await pages.page("click", "tbody button:has-text('Switch on')")
    await pages.page("visible", "tbody .badge >> text=On")

    await pages.page("click", "tbody button.danger")
    await pages.page("click", "dialog button.danger")
    await pages.page("visible", "text=There are no rules")
