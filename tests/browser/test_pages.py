"""The service's own pages in a real browser: what is seen, and what can be done there."""

import base64
import io
import json
import zipfile

import pydicom
import pytest

from tests.browser import samples
from tests.browser.conftest import store
from tests.browser.likeness import eventually
from tests.builders.images import new_uid

HOSTILE = "<img src=x onerror=hurt()>"
HOSTILE_NAME = "<img/src/onerror>"  # an equals sign ends a group of a name
PLACES = [
    *("", "studies", "upload", "worklist", "worklist-rules", "shares", "changes", "operations", "tags", "api"),
    "nowhere",
]
"""Places that need no study. Each has a heading."""


def in_base64(content):
    return base64.b64encode(content).decode()


def study(name, **attributes):
    """A study of one small image."""
    shared = samples.patient(name, **{"study_date": "20200101", "StudyDescription": "Own", **attributes})
    one = samples.sample("MR_small.dcm", **shared, SeriesNumber=1, SeriesDescription="One")
    return samples.Sample(shared["StudyInstanceUID"], (one,))


def archive_of(files):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


async def names(pages, least=1):
    """The patients of the list."""
    await eventually(lambda: count(pages, "tr.opens"), least=least)
    return [text.splitlines()[0] for text in await pages.page("texts", "tr.opens th")]


async def count(pages, selector):
    return float(await pages.page("count", selector))


async def outcomes(pages, files):
    """File to outcome and reason, once all files have one."""
    await pages.page("visible", "text=Done:")
    await eventually(lambda: count(pages, "tbody tr"), least=files)
    rows = [row.split("\t") for row in await pages.page("texts", "tbody tr")]
    return {row[0].strip(): (row[2].strip(), row[3].strip()) for row in rows}


# ------------------------------------------------------------------------------------------------- home, study list


@pytest.mark.spec("VIEW-16", "VIEW-1")
async def test_the_root_shows_whether_the_service_is_up_and_how_to_ask_it(pages):
    await pages.page("goto", f"{pages.url}/")

    await pages.page("visible", "text=Healthy")
    assert (await pages.page("address")).startswith(f"{pages.url}/ui/")
    commands = await pages.page("texts", "pre")
    assert f"curl -X POST {pages.url}/v2/studies -H 'Content-Type: application/dicom'" in commands[0]
    await pages.page("visible", "table >> text=Stored")
    assert "Sign-in is off" in await pages.text(".banner")


@pytest.mark.spec("VIEW-2")
async def test_the_list_is_filtered_and_keeps_patients_out_of_the_address(pages):
    await pages.show("studies")
    assert {"Alder, Ada", "Birch, Ben"} <= set(await names(pages, 8))

    await pages.page("fill", "input[name=name]", "alder")
    await pages.page("hidden", "tr.opens >> text=Birch")
    assert await names(pages) == ["Alder, Ada", "Alder, Ada"]
    assert "alder" not in (await pages.page("address")).lower()
    await pages.page("fill", "input[name=modality]", "ct")
    await pages.page("hidden", "tr.opens >> text=Earlier MR")
    assert await names(pages) == ["Alder, Ada"]
    assert "modality=ct" in await pages.page("address")
    await pages.page("fill", "input[name=from]", "2030-01-01")
    await pages.page("visible", "text=No studies found")

    await pages.page("click", "text=Clear filters")
    await pages.page("click", "tr.opens >> text=Elm, Eve")
    await pages.page("visible", ".series-card")
    await pages.page("back")
    assert len(await names(pages, 8)) >= 8


@pytest.mark.spec("VIEW-2")
async def test_the_filters_are_there_again_when_somebody_comes_back(pages):
    await pages.show("studies")
    await names(pages, 8)
    await pages.page("fill", "input[name=name]", "dogwood")
    await pages.page("hidden", "tr.opens >> text=Birch")
    await pages.page("click", "tr.opens a")
    await pages.page("visible", ".series-card")

    await pages.page("back")

    await pages.page("visible", "tr.opens >> text=Dogwood")
    assert await pages.page("value", "input[name=name]") == "dogwood"
    assert await names(pages) == ["Dogwood, Dan"]


@pytest.mark.spec("VIEW-2")
async def test_the_list_has_pages(pages, archive):
    for number in range(26):
        await store(
            archive.url, study(f"Paged^{number:02}", StudyDescription="Paged", study_date=f"201001{number + 1:02}")
        )
    await pages.show("studies")
    await names(pages, 25)
    await pages.page("fill", "input[name=name]", "paged")
    await pages.page("hidden", "tr.opens >> text=Hazel")
    await pages.page("visible", "text=1 to 25, and more")
    first = await names(pages, 25)

    await pages.page("click", ".pager >> text=Next")

    await pages.page("visible", "text=26 to 26 of 26")
    assert [*first, *await names(pages)] == [f"Paged, {number:02}" for number in reversed(range(26))]


# ------------------------------------------------------------------------------------------------------------ study


@pytest.mark.spec("VIEW-2")
async def test_a_study_shows_its_series_its_pictures_and_its_attributes(pages, archive):
    await pages.show(f"studies/{archive.ct.study_instance_uid}")
    await pages.page("visible", ".series-card img")
    assert await pages.text("main h1") == "Alder, Ada"
    assert archive.ct.study_instance_uid in await pages.text("dl.facts")

    await pages.page("click", ".series-card >> text=Preview")
    await pages.page("visible", ".picture img")
    assert "1 of 5" in await pages.text("dialog output")
    await pages.page("press", "ArrowDown")
    await pages.page("visible", "dialog >> text=2 of 5")
    await pages.page("press", "Escape")
    await pages.page("hidden", "dialog")

    await pages.page("click", ".series-card >> text='Instances'")
    await pages.page("click", "dialog tbody button")
    await pages.page("visible", "dialog >> text=(0010,0010)")
    await pages.page("fill", "dialog >> nth=-1 >> input", "patientname")
    rows = await pages.page("texts", "dialog >> nth=-1 >> tbody tr")
    assert [row.split("\t")[1:] for row in rows] == [["PatientName", "PN", "Alder^Ada"]]


@pytest.mark.spec("VIEW-2")
async def test_a_study_is_downloaded_as_an_archive(pages, archive):
    await pages.show(f"studies/{archive.ct.study_instance_uid}", "text=Download as zip")

    content = base64.b64decode(await pages.page("download", "text=Download as zip"))

    with zipfile.ZipFile(io.BytesIO(content)) as files:
        stored = {pydicom.dcmread(io.BytesIO(files.read(name))).SOPInstanceUID for name in files.namelist()}
    assert stored == {one.SOPInstanceUID for one in archive.ct.datasets}


@pytest.mark.spec("VIEW-2")
async def test_a_study_is_deleted_when_that_is_meant(pages, archive):
    gone = study("Gone^Gus")
    await store(archive.url, gone)
    await pages.show(f"studies/{gone.study_instance_uid}", "text=Gone, Gus")

    await pages.page("click", "button.danger")
    await pages.page("click", "dialog >> text=Cancel")
    await pages.page("hidden", "dialog")
    await pages.page("visible", "h1 >> text=Gone, Gus")
    await pages.page("click", "button.danger")
    await pages.page("click", "dialog button.danger")

    await pages.page("visible", ".notice >> text=The study is deleted.")
    await pages.page("goto", f"{pages.url}/ui/#/studies/{gone.study_instance_uid}")
    await pages.page("visible", "text=There is no such study")


# ----------------------------------------------------------------------------------------------------------- upload


@pytest.mark.spec("VIEW-3")
async def test_every_file_of_a_folder_has_its_outcome(pages, archive, tmp_path):
    fresh, known = study("Folder^Fay"), study("Known^Kim")
    await store(archive.url, known)
    broken = study("Broken^Bob").files[0]
    folder = tmp_path / "disc"
    files = {
        "a/new.dcm": fresh.files[0],
        "a/known.dcm": known.files[0],
        "broken.dcm": broken[:600],
        "notes.txt": b"no picture at all, only words that go on for a while",
        "empty": b"",
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    await pages.show("upload")

    await pages.page("choosePath", "input[data-choose=folder]", str(folder))

    told = await outcomes(pages, len(files))
    assert {name: outcome for name, (outcome, _) in told.items()} == {
        "disc/a/new.dcm": "Stored",
        "disc/a/known.dcm": "Already there",
        "disc/broken.dcm": "Refused",
        "disc/notes.txt": "No DICOM file",
        "disc/empty": "No DICOM file",
    }
    assert len(told["disc/broken.dcm"][1]) > 20
    await pages.page("hidden", "text=Send the failed again")
    listed = base64.b64decode(await pages.page("download", "text=Save the list")).decode("utf-8-sig")
    assert '"disc/a/known.dcm"' in listed
    assert len(listed.splitlines()) == 1 + len(files)
    await pages.page("click", "text=Open the study")
    await pages.page("visible", "h1 >> text=Folder, Fay")


@pytest.mark.spec("VIEW-3")
async def test_an_archive_that_is_dropped_is_unpacked_in_the_page(pages):
    one, other = study("Zip^Zoe"), study("Zip^Zack")
    packed = archive_of(
        {"d/1.dcm": one.files[0], "d/2.dcm": other.files[0], "d/read.me": b"words", "DICOMDIR": one.files[0]}
    )
    await pages.show("")

    await pages.page("drop", ".drop", [("both.zip", in_base64(packed)), ("torn.zip", in_base64(packed[:-40]))])

    told = await outcomes(pages, 5)
    assert {name: outcome for name, (outcome, _) in told.items()} == {
        "both.zip/d/1.dcm": "Stored",
        "both.zip/d/2.dcm": "Stored",
        "both.zip/d/read.me": "No DICOM file",
        "both.zip/DICOMDIR": "No DICOM file",
        "torn.zip": "Refused",
    }
    assert told["torn.zip"][1] == "The archive is damaged or cut off."


@pytest.mark.spec("VIEW-3")
async def test_an_archive_that_lies_about_its_sizes_fills_no_memory(pages):
    packed = bytearray(archive_of({"bomb.dcm": bytes(128) + b"DICM" + bytes(50_000_000)}))
    at = packed.rindex(b"PK\x01\x02") + 24
    packed[at : at + 4] = (1000).to_bytes(4, "little")
    await pages.show("upload")

    await pages.page("drop", ".drop", [("bomb.zip", in_base64(bytes(packed)))])

    assert await outcomes(pages, 1) == {"bomb.zip/bomb.dcm": ("Refused", "The archive is damaged or cut off.")}


# ---------------------------------------------------------------------------------------------- values, rights, errors


@pytest.mark.spec("VIEW-12")
async def test_values_are_written_as_text_wherever_they_are_shown(pages, archive):
    uid = new_uid()
    hostile = study(
        HOSTILE_NAME,
        PatientID=f"9{HOSTILE}",
        StudyInstanceUID=uid,
        StudyDescription=HOSTILE,
        AccessionNumber="<img onerror=a>",
        StudyID="<img onerror=b>",
        ReferringPhysicianName=HOSTILE_NAME,
        ManufacturerModelName=HOSTILE,
    )
    hostile.datasets[0].SeriesDescription = HOSTILE
    await store(archive.url, hostile)

    await pages.show("studies")
    await names(pages, 8)
    await pages.page("fill", "input[name=patient]", "9")
    await pages.page("hidden", "tr.opens >> text=Hazel")
    await pages.page("visible", f"tr.opens th >> text={HOSTILE_NAME}")
    await pages.page("visible", "tr.opens >> text=<img onerror=a>")
    await pages.page("click", "tr.opens a")
    await pages.page("visible", f"h1 >> text={HOSTILE_NAME}")
    await pages.page("visible", f".series-card h3 >> text={HOSTILE}")
    await pages.page("click", ".series-card .row button:last-child")
    await pages.page("click", "dialog tbody button")
    await pages.page("visible", "dialog >> text=(0010,0010)")
    made = "document.querySelectorAll('img:not([src^=blob]):not([src$=svg]), [onerror]').length"
    assert await pages.page("evaluate", made) == 0


@pytest.mark.spec("VIEW-15")
async def test_an_error_says_what_to_do_and_by_which_id_it_is_found(pages):
    await pages.show("studies/not-a-uid", ".message")

    said = await pages.text(".message")
    assert "Request id:" in said
    assert "Try again" in said
    await pages.page("visible", "text=Try again")


# ------------------------------------------------------------------------------------------------ everybody can use it


@pytest.mark.spec("VIEW-13")
@pytest.mark.parametrize("colours", ["light", "dark"])
async def test_no_page_has_a_fault_that_a_checker_of_accessibility_finds(pages, archive, colours):
    await pages.page("colours", colours)
    found = {}
    for place in (*PLACES, f"studies/{archive.ct.study_instance_uid}"):
        await pages.show(place)
        await pages.page("hidden", ".spinner")
        found[place] = await pages.page("violations")
    await pages.page("click", ".series-card >> text=Preview")
    await pages.page("visible", ".picture img")
    found["preview"] = await pages.page("violations")

    assert {place: faults for place, faults in found.items() if faults} == {}


@pytest.mark.spec("VIEW-13")
async def test_a_study_is_found_and_looked_at_without_a_mouse(pages):
    await pages.show("studies")
    await names(pages, 8)
    focused = "document.activeElement.{}"

    await pages.page("press", "Tab")
    assert await pages.page("evaluate", focused.format("id")) == "skip-link"
    await pages.page("press", "Enter")
    assert await pages.page("evaluate", focused.format("id")) == "main"
    await pages.page("press", "/")
    assert await pages.page("evaluate", focused.format("name")) == "name"
    for key in "alder":
        await pages.page("press", key)
    await pages.page("hidden", "tr.opens >> text=Birch")
    for _ in range(20):
        await pages.page("press", "Tab")
        if await pages.page("evaluate", "Boolean(document.activeElement.closest('tr.opens'))"):
            break
    await pages.page("press", "Enter")
    await pages.page("visible", ".series-card img")
    assert await pages.page("evaluate", focused.format("tagName")) == "H1"
    for _ in range(20):
        await pages.page("press", "Tab")
        if await pages.page("evaluate", focused.format("textContent")) == "Preview":
            break
    await pages.page("press", "Enter")
    await pages.page("visible", ".picture img")
    await pages.page("press", "Escape")
    await pages.page("hidden", "dialog")
    assert await pages.page("evaluate", focused.format("textContent")) == "Preview"


@pytest.mark.spec("VIEW-14")
async def test_the_pages_speak_german_and_fit_a_telephone(pages):
    await pages.page("size", 360, 740)
    for place in PLACES:
        await pages.show(place)
        await pages.page("hidden", ".spinner")
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await pages.page("evaluate", wide) == 0, place

    await pages.page("click", ".menu-button")
    await pages.page("select", ".side-foot select", "de")
    await pages.page("visible", "text=Diese Seite gibt es nicht")
    await pages.show("studies")
    assert await pages.text("main h1") == "Studien"
    assert await pages.page("evaluate", "document.documentElement.lang") == "de"
    await pages.page("evaluate", "localStorage.clear()")
    await pages.page("size", 1280, 640)


@pytest.mark.spec("VIEW-13")
async def test_colours_are_those_of_the_system_until_somebody_chooses(pages):
    ground = "getComputedStyle(document.body).backgroundColor"
    await pages.page("colours", "dark")
    await pages.show()
    dark = await pages.page("evaluate", ground)

    await pages.page("select", ".side-foot .field:nth-of-type(2) select", "light")

    assert await pages.page("evaluate", ground) != dark
    await pages.show("studies")
    assert await pages.page("evaluate", ground) != dark
    assert json.loads(await pages.page("evaluate", "JSON.stringify({...localStorage})")) == {"pages.theme": "light"}
    await pages.page("evaluate", "localStorage.clear()")


# ----------------------------------------------------------------------------------------------------------- labels


@pytest.mark.spec("VIEW-2", "SEL-1", "SEL-3")
async def test_a_study_is_labelled_and_found_by_its_label(pages, archive):
    word = f"board {new_uid()[-8:]}"
    await pages.show(f"studies/{archive.ct.study_instance_uid}")
    await pages.page("visible", "text=No labels")

    await pages.page("fill", "#new-label", word)
    await pages.page("click", "section[aria-labelledby=labels-title] form button")
    await pages.page("visible", f"ul[aria-label=Labels] >> text={word}")

    await pages.show("studies")
    await names(pages, 8)
    await pages.page("visible", f"tr.opens .badge >> text={word}")
    await pages.page("fill", "input[name=label]", word.upper())
    await pages.page("hidden", "tr.opens >> text=Birch")
    assert await names(pages) == ["Alder, Ada"]
    assert "board" not in (await pages.page("address")).lower()

    await pages.show(f"studies/{archive.ct.study_instance_uid}")
    await pages.page("click", f"button[aria-label='Remove {word}']")
    await pages.page("visible", "text=No labels")
