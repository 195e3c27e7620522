"""Shares in the pages: making and revoking them, and what the link opens for a stranger (VIEW-8, SHR-8)."""

import json

import pytest
from aiohttp import ClientSession

from tests.browser.likeness import eventually

STRANGER = "[aria-label='Navigation'], .account, .banner"
"""What only those see who may do more than look at the share."""


async def make(pages, **label):
    """Make a share of the study that is shown; its link."""
    await pages.page("click", "main button:has-text('Share')")
    await pages.page("visible", "dialog form")
    if label:
        await pages.page("fill", "dialog input:not([type])", label["label"])
    await pages.page("click", "dialog form button.primary")
    await pages.page("visible", "dialog >> text=This link is a key.")
    return str(await pages.page("evaluate", "document.querySelector('dialog input[readonly]').value"))


async def count(pages, selector):
    return float(await pages.page("count", selector))


@pytest.mark.spec("VIEW-8", "SHR-8")
async def test_a_study_is_shared_opened_by_its_link_and_revoked(pages, archive):
    await pages.show(f"studies/{archive.ct.study_instance_uid}")
    link = await make(pages, label="for a second opinion")
    assert link.startswith(f"{pages.url}/ui/#/share/shr_")
    assert await pages.page("violations") == []

    await pages.page("goto", "about:blank")
    await pages.page("goto", link)
    await pages.page("visible", ".series-card img")
    assert f"/studies/{archive.ct.study_instance_uid}" in await pages.page("address")
    assert await count(pages, STRANGER) == 0
    assert await count(pages, "main button:has-text('Delete'), main button:has-text('Share')") == 0
    assert await pages.page("violations") == []
    token = link.partition("/share/")[2]
    assert [one["url"] for one in await pages.page("exchanges") if token in one["url"].partition("#")[0]] == []

    await pages.show("shares")
    await pages.page("visible", "tr:has-text('for a second opinion')")
    await pages.page("click", "tr:has-text('for a second opinion') button")
    await pages.page("click", "dialog button.primary")
    await pages.page("visible", "text=The share is revoked.")
    await pages.page("goto", "about:blank")
    await pages.page("goto", link)
    await pages.page("visible", "text=This link does not open anything")


@pytest.mark.spec("SHR-8", "SHR-3")
async def test_a_stranger_needs_no_sign_in_and_is_led_nowhere_else(guarded_pages, archive):
    url = guarded_pages.url
    token = await owner_token(guarded_pages)
    studies = [archive.ct.study_instance_uid, archive.ultrasound.study_instance_uid]
    body = json.dumps({"studies": studies, "expiresIn": "PT1H", "download": False})
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with ClientSession() as session, session.post(f"{url}/v2/shares", data=body, headers=headers) as answer:
        assert answer.status == 201, await answer.text()
        made = await answer.json()

    await guarded_pages.page("goto", "about:blank")
    await guarded_pages.page("goto", made["url"])

    await eventually(lambda: count(guarded_pages, ".series-card"), least=2)
    await guarded_pages.page("click", ".series-card a.button")
    await guarded_pages.page("visible", ".series-card img")
    assert await count(guarded_pages, STRANGER) == 0
    assert await count(guarded_pages, "text=Zip") == 0
    assert "authorize" not in await guarded_pages.page("address")


async def owner_token(pages):
    """Sign in as the owner; the token that its requests carry."""
    await pages.page("goto", f"{pages.url}/ui/#/studies")
    await pages.page("click", "a:text-is('owner')")
    await pages.page("visible", "tr.opens")
    [*_, asked] = [one for one in await pages.page("exchanges") if "/v2/studies" in one["url"]]
    return asked["sent"]["authorization"].removeprefix("Bearer ")
