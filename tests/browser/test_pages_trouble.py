"""The pages when something is not as it should be: failures of the service, odd addresses and files, sudden ends."""

import pytest
from aiohttp import ClientSession

from tests.browser.conftest import store
from tests.browser.likeness import eventually
from tests.browser.test_pages import archive_of, count, in_base64, names, outcomes, study
from tests.browser.test_pages_sign_in import LATER, sign_in

SEARCH = "**/v2/studies?**"
PROBLEM = {"title": "Internal", "detail": "The service has failed.", "remedy": "Try later.", "requestId": "0123abcd"}


@pytest.fixture
async def pages(pages):
    """Of which a test has the service fail: what a browser says of that is no fault of the page."""
    yield pages
    await pages.page("unroute")


@pytest.mark.spec("VIEW-15")
async def test_a_failure_of_the_service_is_told_with_its_id_and_mended_by_trying_again(pages):
    await pages.page("refuse", SEARCH, 500, PROBLEM)
    await pages.show("studies", ".message.bad")

    said = await pages.text(".message.bad")
    assert "The service has failed." in said
    assert "Try later." in said
    assert "Request id: 0123abcd" in said
    await pages.page("visible", "nav >> text=Upload")
    await pages.page("unroute")
    await pages.page("click", ".message >> text=Try again")
    await names(pages, 8)
    await pages.page("open")  # what the browser says to its console of a 500 is no fault of the page


@pytest.mark.spec("VIEW-15")
async def test_while_an_answer_is_awaited_the_page_says_so_and_can_be_used(pages):
    await pages.page("hold", SEARCH)
    await pages.show("studies", "main .waiting[role=status]")
    assert await count(pages, "[aria-busy=true]") == 1
    await pages.page("hold", "**/views/upload.js")
    await pages.page("fill", "input[name=name]", "ald")
    await pages.page("click", "nav >> text=Upload")
    await pages.page("visible", "main > .waiting")
    await pages.page("evaluate", "new Promise((done) => setTimeout(done, 500))")  # longer than typing is waited for
    assert (await pages.page("address")).endswith("#/upload")
    await pages.page("release")
    await pages.page("unroute")
    await pages.page("visible", ".drop")
    await pages.page("click", "nav >> text=Studies")
    await names(pages, 8)


@pytest.mark.spec("VIEW-15")
async def test_an_address_that_names_nothing_says_so(pages):
    for place, words in {
        "studies/1.2.3": "There is no such study",
        "studies/%E0%A4%A": "Request id",
        "%": "There is no such page",
        "operations/00000000000000000000000000000000": "does not exist",
        "studies?offset=100000": "No studies found",
        "worklist/1.2.3": "Request id",
    }.items():
        await pages.show(place, f"main >> text={words}")
        await pages.page("visible", "nav >> text=Studies")


@pytest.mark.spec("VIEW-2")
async def test_a_service_without_studies_says_what_to_do(pages):
    await pages.page("answer", SEARCH, [])
    await pages.page("answer", "**/v2/changefeed/latest?**", None)
    await pages.show("")
    await pages.page("visible", ".figure:has-text('Studies') >> text='0'")
    await pages.page("visible", "main p >> text=Nothing has been stored yet.")
    await pages.show("studies", "main >> text=No studies found")
    await pages.page("visible", "main >> text=Change the filters, or upload studies.")
    assert await pages.page("violations") == []


@pytest.mark.spec("VIEW-2", "VIEW-14")
async def test_a_study_of_thousands_of_series_is_drawn_page_by_page(pages, archive):
    uid = archive.bare.study_instance_uid
    series = [
        {
            "0020000E": {"vr": "UI", "Value": [f"1.2.{number}"]},
            "00200011": {"vr": "IS", "Value": [number]},
            "00080060": {"vr": "CS", "Value": ["CT"]},
        }
        for number in range(61)
    ]
    await pages.page("answer", f"**/studies/{uid}/series?**", series)
    await pages.page("refuse", "**/thumbnail", 406, PROBLEM)
    await pages.show(f"studies/{uid}", ".series-card")
    assert await count(pages, ".series-card") == 60
    asked = [one for one in await pages.page("exchanges") if one["url"].endswith("/thumbnail")]
    assert len(asked) < 40  # those in sight

    await pages.page("click", "main button >> text=Show more")
    await eventually(lambda: count(pages, ".series-card"), least=120)
    assert await pages.page("evaluate", "document.activeElement !== document.body")


@pytest.mark.spec("VIEW-9", "VIEW-15")
async def test_who_cannot_be_signed_in_again_silently_goes_by_the_provider_and_comes_back(guarded_pages):
    await sign_in(guarded_pages, "reader", "studies")
    await guarded_pages.page("visible", "tr.opens")
    await guarded_pages.page("refuse", "**/token", 400, {"error": "invalid_grant"})
    await guarded_pages.page("evaluate", LATER)

    await guarded_pages.page("click", "tr.opens th a")
    await guarded_pages.page("visible", "a:text-is('reader')")
    await guarded_pages.page("unroute")
    await guarded_pages.page("click", "a:text-is('reader')")

    await guarded_pages.page("visible", ".series-card img")
    assert "#/studies/" in await guarded_pages.page("address")


@pytest.mark.spec("SHR-4", "SHR-8", "VIEW-15")
async def test_a_share_that_ends_while_it_is_looked_at_says_that_it_has_ended(pages, archive):
    wanted = {"studies": [archive.ct.study_instance_uid], "expiresIn": "PT1H"}
    async with ClientSession() as session:
        async with session.post(f"{pages.url}/v2/shares", json=wanted) as answer:
            made = await answer.json()
        await pages.page("goto", made["url"])
        await pages.page("visible", ".series-card img")
        async with session.delete(f"{pages.url}/v2/shares/{made['id']}") as answer:
            assert answer.status == 204

    await pages.page("click", ".series-card >> text='Instances'")

    said = await pages.text("dialog .message.bad")
    assert "This link does not open anything" in said
    assert "Ask whoever gave it to you" in said
    assert "sign" not in said.lower()


@pytest.mark.spec("VIEW-3")
async def test_archives_in_archives_are_unpacked_and_every_file_has_its_outcome(pages, archive):
    one, known = study("Nested^Nan"), study("Known^Kit")
    await store(archive.url, known)
    inner = archive_of(
        {"1.dcm": one.files[0], "again.dcm": known.files[0], "nothing.dcm": b"", "CON": b"words of a file"}
    )
    deep = archive_of({"a.zip": archive_of({"b.zip": archive_of({"c.zip": archive_of({"d.dcm": one.files[0]})})})})
    packed = archive_of({"patient/inner.zip": inner, "torn.zip": inner[:-30], "none.zip": archive_of({})})
    await pages.show("upload")

    await pages.page(
        "drop",
        ".drop",
        [("all.zip", in_base64(packed)), ("deep.zip", in_base64(deep)), ("none.zip", in_base64(archive_of({})))],
    )

    told = await outcomes(pages, 8)
    assert {name: outcome for name, (outcome, _) in told.items()} == {
        "all.zip/patient/inner.zip/1.dcm": "Stored",
        "all.zip/patient/inner.zip/again.dcm": "Already there",
        "all.zip/patient/inner.zip/nothing.dcm": "No DICOM file",
        "all.zip/patient/inner.zip/CON": "No DICOM file",
        "all.zip/torn.zip": "Refused",
        "all.zip/none.zip": "Refused",
        "deep.zip/a.zip/b.zip/c.zip": "Refused",
        "none.zip": "Refused",
    }
    assert told["none.zip"][1] == "The archive is empty."
    assert "unpack them first" in told["deep.zip/a.zip/b.zip/c.zip"][1]


@pytest.mark.spec("VIEW-3", "VIEW-12")
async def test_names_of_files_are_text_and_the_same_file_twice_is_stored_once(pages):
    one = study("Twice^Tess")
    await pages.show("upload")

    await pages.page("drop", ".drop", [(name, in_base64(one.files[0])) for name in ("<img src=x>.dcm", "=1+1.dcm")])

    told = await outcomes(pages, 2)
    assert sorted(outcome for outcome, _ in told.values()) == ["Already there", "Stored"]
    assert set(told) == {"<img src=x>.dcm", "=1+1.dcm"}


@pytest.mark.spec("VIEW-7", "B-21")
async def test_operators_see_the_operations_of_everybody(guarded_pages):
    operation = {
        "operationId": "0123456789abcdef0123456789abcdef",
        "type": "share",
        "status": "running",
        "percentComplete": 40,
        "createdTime": "2026-01-31T09:15:00Z",
        "lastUpdatedTime": "2026-01-31T09:16:00Z",
    }
    await guarded_pages.page("answer", "**/v2/admin/operations?**", [operation])
    await sign_in(guarded_pages, "owner", "operations")
    await guarded_pages.page("visible", "h2 >> text=Operations of everybody")
    [row] = await guarded_pages.page("texts", "tbody tr")
    assert "Copy of a de-identified share" in row
    assert "40 %" in row
    assert await guarded_pages.page("violations") == []
    await guarded_pages.page("unroute")

    await guarded_pages.page("open")
    await sign_in(guarded_pages, "reader", "operations")
    await eventually(lambda: count(guarded_pages, "text=No operations yet"), least=1)
    assert await count(guarded_pages, "h2 >> text=Operations of everybody") == 0
