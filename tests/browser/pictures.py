"""`make pictures`: the pictures of the documents, made anew from the pages as they are.

With the studies of `make demo` and the patients of cohorts §9.
"""

import asyncio
import tempfile
from pathlib import Path

from devhost.testing import running_azurite, running_service
from dicom_cli.configuration import configured
from dicom_cli.service import Service
from scripts.demo.__main__ import STUDIES, store
from scripts.demo.building import part10
from scripts.demo.scans import ct, mr
from tests.browser import fhir
from tests.browser.conftest import VIEWER
from tests.browser.page import Page, running_browser
from tests.browser.test_ohif import VIEWPORT
from tests.browser.test_pages import archive_of, in_base64
from tests.browser.test_pages_viewer import GREETED

ROOT = Path(__file__).resolve().parents[2]
USE = ROOT / "docs/use"
SIGNED_IN = "document.querySelector('.banner')?.remove()"
"""The service of the pictures asks nobody who they are, and says so; those of readers mostly do."""


async def main() -> None:
    """Make them all."""
    studies = [make() for make in STUDIES]
    async with running_azurite() as azurite, fhir.running_fhir() as patients, running_browser() as page:
        with tempfile.TemporaryDirectory() as secrets:
            settings = {
                "AzureWebJobsStorage": azurite.connection_string,
                "DicomStorage": azurite.connection_string,
                "SECRET_STORE": Path(secrets).as_uri(),
                **VIEWER,
                **fhir.settings(patients),
            }
            async with running_service(ROOT, settings) as service:
                command = Service(configured({"url": service.url}))
                for study in studies:
                    await asyncio.to_thread(store, command, study)
                await page("open")
                await page("size", 1180, 720)
                await _pictures(page, f"{service.url}/ui/", studies[0].study_instance_uid)


async def _pictures(page: Page, url: str, study: str) -> None:
    await _shown(page, f"{url}#/studies/{study}", ".series-card img")
    await page("fill", "#new-label", "tumour board")
    await page("click", "section[aria-labelledby=labels-title] form button")
    await page("visible", "ul[aria-label=Labels] >> text=tumour board")
    await page("evaluate", "document.activeElement.blur()")
    await _keep(page, "pages-study")
    await page("click", "main button:has-text('Share')")
    await page("click", "dialog form button.primary")
    await page("visible", "dialog >> text=This link is a key.")
    await _keep(page, "pages-share")
    await _shown(page, f"{url}#/studies", "tr.opens .badge >> text=tumour board")
    await _keep(page, "pages-studies")
    await _shown(page, url, "main table tbody tr")
    await page("visible", "text=Healthy")
    await _keep(page, "pages-home")
    await _shown(page, f"{url}#/changes", "main table tbody tr")
    await _keep(page, "pages-changes")
    await _upload(page, url)
    await _shown(page, f"{url}#/api", "details.operation")
    await page("fill", "main input[type=search]", "get /studies ")
    await page("click", "details.operation summary")
    await page("fill", "details.operation .field:has(label:text-is('Further query')) input", "PatientID=DEMO-001")
    await page("click", "details.operation button.primary")
    await page("visible", ".badge >> text=200")
    await _keep(page, "pages-api", tall=980)
    await _shown(page, f"{url}#/cohorts", "main textarea")
    await page("fill", "main textarea", fhir.QUESTION)
    await page("click", "main form button.primary")
    await page("visible", "section[aria-label='Reading'] strong")
    await _keep(page, "pages-cohorts", tall=820)
    await page("goto", f"{url}configuration.json")
    await page("evaluate", GREETED)
    await page("goto", f"{url}viewer/viewer?StudyInstanceUIDs={study}")
    await page("visible", VIEWPORT)
    await asyncio.sleep(15)
    for _ in range(11):  # to the middle
        await page("scroll", VIEWPORT, 100)
    await asyncio.sleep(5)
    await _keep(page, "viewer")


async def _upload(page: Page, url: str) -> None:
    """A disc with a new study, one that is there, a torn file and what is no DICOM."""
    new, known = ct(), mr()
    changed = [part10(each) for each in new.data_sets[:2]]
    uid = new.data_sets[0].SOPInstanceUID
    fresh = changed[0].replace(uid.encode(), (uid[:-2] + "97").encode())
    files = {
        "DICOMDIR": changed[0],
        "README.TXT": b"Please open the viewer of this disc. " * 9,
        "IMAGES/0001": fresh,
        "IMAGES/0002": part10(known.data_sets[0]),
        "IMAGES/0003": changed[1][:600],
    }
    await _shown(page, f"{url}#/upload", ".drop")
    await page("drop", ".drop", [("disc.zip", in_base64(archive_of(files)))])
    await page("visible", "text=Done:")
    await _keep(page, "pages-upload", tall=900)


async def _shown(page: Page, address: str, selector: str) -> None:
    await page("goto", "about:blank")
    await page("goto", address)
    await page("visible", selector)


async def _keep(page: Page, name: str, *, tall: int = 720) -> None:
    await page("size", 1180, tall)
    await page("evaluate", SIGNED_IN)
    await asyncio.sleep(1)  # pictures in sight are fetched
    (USE / f"{name}.png").write_bytes(await page.picture())
    await page("size", 1180, 720)


if __name__ == "__main__":
    asyncio.run(main())
