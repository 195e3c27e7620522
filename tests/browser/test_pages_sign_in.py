"""Signing in to the pages by the code flow, with the provider of `make run AUTH=1` (VIEW-9)."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

LATER = "const now = Date.now; Date.now = () => now() + 13 * 3600 * 1000;"
"""The clock of the page after the end of every token."""


async def sign_in(pages, user, place=""):
    """Open a place, and be that user at the provider."""
    await pages.page("goto", f"{pages.url}/ui/{place and f'#/{place}'}")
    await pages.page("click", f"a:text-is('{user}')")
    await pages.page("visible", ".account-name")


async def requests_of(pages, part):
    return [one for one in await pages.page("exchanges") if part in one["url"]]


@pytest.mark.spec("VIEW-9", "VIEW-15")
async def test_whoever_comes_is_led_to_the_provider_and_back_to_the_same_place(guarded_pages, archive):
    place = f"studies/{archive.ct.study_instance_uid}"
    await sign_in(guarded_pages, "owner", place)

    await guarded_pages.page("visible", ".series-card img")
    assert await guarded_pages.page("address") == f"{guarded_pages.url}/ui/#/{place}"
    assert await guarded_pages.text(".account-name") == "owner"
    (asked,) = await requests_of(guarded_pages, "/authorize?user=") or await requests_of(guarded_pages, "user=owner")
    query = {name: values[0] for name, values in parse_qs(urlsplit(asked["url"]).query).items()}
    assert (query["response_type"], query["code_challenge_method"]) == ("code", "S256")
    assert query["redirect_uri"] == f"{guarded_pages.url}/ui/"
    assert min(len(query["state"]), len(query["nonce"]), len(query["code_challenge"])) >= 32


@pytest.mark.spec("VIEW-9")
async def test_tokens_are_in_the_memory_of_the_page_alone(guarded_pages):
    await sign_in(guarded_pages, "reader", "studies")
    await guarded_pages.page("visible", "tr.opens")

    kept = await guarded_pages.page("evaluate", "JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert json.loads(kept) == [{}, {}]
    assert "eyJ" not in await guarded_pages.page(
        "evaluate", "document.cookie"
    )  # the viewer's origin has one of its own
    assert [one["url"] for one in await guarded_pages.page("exchanges") if "eyJ" in one["url"]] == []
    assert "eyJ" not in await guarded_pages.page("address")


@pytest.mark.spec("VIEW-9")
async def test_a_token_that_is_about_to_end_is_renewed_without_a_word(guarded_pages):
    await sign_in(guarded_pages, "reader", "studies")
    await guarded_pages.page("visible", "tr.opens")
    before = len(await requests_of(guarded_pages, "/token"))
    await guarded_pages.page("evaluate", LATER)

    await guarded_pages.page("click", "tr.opens a")
    await guarded_pages.page("visible", ".series-card img")

    assert len(await requests_of(guarded_pages, "/token")) == before + 1
    assert len(await requests_of(guarded_pages, "user=reader")) == 1


@pytest.mark.spec("VIEW-9")
async def test_signing_out_leaves_nothing_and_does_not_sign_in_again(guarded_pages):
    await sign_in(guarded_pages, "reader", "studies")
    await guarded_pages.page("visible", "tr.opens")

    await guarded_pages.page("click", "text=Sign out")

    await guarded_pages.page("visible", "h1 >> text=You are signed out")
    assert len(await requests_of(guarded_pages, "/logout")) == 1
    await guarded_pages.page("goto", f"{guarded_pages.url}/ui/#/studies")
    await guarded_pages.page("visible", "main >> text=Sign in")
    assert await guarded_pages.page("count", "tr.opens") == 0
    assert [one["url"] for one in await guarded_pages.page("exchanges") if "/v2/studies" in one["url"]][1:] == []


@pytest.mark.spec("VIEW-9")
async def test_an_answer_that_nobody_has_asked_for_signs_nobody_in(guarded_pages):
    await guarded_pages.page("goto", f"{guarded_pages.url}/ui/?code=stolen&state=guessed")

    await guarded_pages.page("visible", "h1 >> text=Signing in did not work")
    assert await requests_of(guarded_pages, "/token") == []
    assert "stolen" not in await guarded_pages.page("address")


@pytest.mark.spec("VIEW-15")
async def test_what_a_user_may_not_do_is_refused_with_the_right_that_is_missing(guarded_pages, archive):
    await sign_in(guarded_pages, "reader", f"studies/{archive.ct.study_instance_uid}")
    await guarded_pages.page("click", "button.danger")

    await guarded_pages.page("click", "dialog button.danger")

    said = await guarded_pages.text("dialog .message")
    assert "You may not do this." in said
    assert "data action delete" in said
    assert "Request id:" in said


@pytest.mark.spec("VIEW-2")
async def test_an_archive_is_fetched_with_the_token(guarded_pages, archive):
    await sign_in(guarded_pages, "reader", f"studies/{archive.ct.study_instance_uid}")

    assert len(await guarded_pages.page("download", "text=Download as zip")) > 100_000
