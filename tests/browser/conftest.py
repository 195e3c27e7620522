"""The viewer in a browser, on a service that knows its origin and holds the samples."""

from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession

from devhost.testing import running_service
from tests.browser import samples
from tests.browser.page import CACHE, Exchange, Page, running_browser
from tests.browser.viewer import Viewer, running_viewer
from tests.builders.images import multipart
from tests.conftest import ROOT

HERE = ROOT / "tests/browser"
VIEWER = {"VIEWER_FOLDER": str(ROOT / ".cache/viewer")}
"""Where `make browser` has put the viewer that the service itself has."""
REFUSED = "Failed to load resource: the server responded with a status of 4"
"""What a browser says of each answer that is an error: some tests ask for one."""
OWN = ("blob:", "data:", "chrome://", "chrome-extension://")
"""What a browser finds in itself, such as its reader of PDF."""
GIVEN_UP = "net::ERR_ABORTED"
"""How a request ends that the page itself does not want any more, as when it goes elsewhere."""


def pytest_collection_modifyitems(items):
    """What is in this folder needs a browser: `make browser` runs it, and `make test` does not.

    A browser without a graphics card is slow where the processor is busy with other things too.
    """
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(600))


@dataclass(frozen=True, slots=True)
class Archive:
    """A service and the studies in it."""

    url: str
    ct: samples.Sample
    earlier: samples.Sample
    ultrasound: samples.Sample
    codecs: samples.Sample
    documents: samples.Sample
    slide: samples.Sample
    video: samples.Sample
    bare: samples.Sample


@dataclass(frozen=True, slots=True)
class Ohif:
    """The viewer on a new page."""

    page: Page
    viewer: Viewer
    archive: Archive

    async def show_list(self) -> None:
        """Open the list of studies."""
        await self.page("goto", f"{self.viewer.origin}/")

    async def show(self, study: samples.Sample, mode: str = "viewer", source: str = "recommended") -> None:
        """Open a study in a mode of the viewer, through one of its data sources."""
        await self.page("goto", f"{self.viewer.origin}/{mode}/{source}?StudyInstanceUIDs={study.study_instance_uid}")

    async def exchanges(self, method: str = "GET", part: str = "") -> list[Exchange]:
        """What it asked the service by that method, with that text in the URL, so far."""
        return [one for one in await self.page.exchanges(self.archive.url) if one.method == method and part in one.url]


@dataclass(frozen=True, slots=True)
class Pages:
    """The service's own pages."""

    page: Page
    url: str

    async def show(self, place: str = "", heading: str = "main h1") -> None:
        """Open a place of the pages anew, and wait for its heading."""
        await self.page("goto", "about:blank")
        await self.page("goto", f"{self.url}/ui/{place and f'#/{place}'}")
        await self.page("visible", heading)

    async def text(self, selector: str) -> str:
        """What an element says, once it is there."""
        await self.page("visible", selector)
        return str((await self.page("texts", selector))[0])


@pytest.fixture(scope="session")
async def browser():
    """One browser for all tests."""
    async with running_browser() as page:
        yield page


@pytest.fixture(scope="session")
async def viewer():
    """The viewer's own origin."""
    async with running_viewer() as running:
        yield running


@pytest.fixture(scope="session")
async def archive(azurite, viewer):
    """A service that allows the viewer's origin and nobody else's, with the samples in it."""
    connection = azurite.connection_string
    settings = {
        "AzureWebJobsStorage": connection,
        "DicomStorage": connection,
        "CORS_ALLOWED_ORIGINS": viewer.origin,
        **VIEWER,
    }
    async with running_service(ROOT, settings, workers=2) as service:
        viewer.service = service.url
        archive = Archive(
            service.url,
            ct=samples.ct_study(),
            earlier=samples.earlier_study(),
            ultrasound=samples.ultrasound_study(),
            codecs=samples.codec_study(),
            documents=samples.document_study(),
            slide=samples.slide_study(),
            video=samples.video_study(),
            bare=samples.bare_study(),
        )
        # The list shows the latest of a day first only by chance, so the order of storing means nothing.
        for study in (
            archive.ct,
            archive.earlier,
            archive.ultrasound,
            archive.codecs,
            archive.documents,
            archive.slide,
            archive.video,
            archive.bare,
        ):
            await store(service.url, study)
        yield archive


async def store(url: str, study: samples.Sample, partition: str = "") -> None:
    """Store a study; where the service has data partitions, in one of them."""
    place = f"/partitions/{partition}" if partition else ""
    body, content_type = multipart(study.files)
    headers = {"Content-Type": content_type, "Accept": "application/dicom+json"}
    async with (
        ClientSession() as session,
        session.post(f"{url}/v2{place}/studies", data=body, headers=headers) as response,
    ):
        answer = await response.json(content_type=None)
        assert response.status in {200, 202}, answer
        assert "00081198" not in answer, answer


async def keep(request, browser):
    """Keep what a test saw last."""
    pictures = CACHE / "shown"
    pictures.mkdir(exist_ok=True)
    (pictures / f"{request.node.name.partition('[')[0]}.png").write_bytes(await browser.picture())


@pytest.fixture
async def ohif(request, browser, viewer, archive):
    """The viewer on a page that is new; nothing that it asks of the service may fail, and no script of it either.

    What a test saw last is kept in `.cache/browser/shown`.
    """
    await browser("open")
    shown = Ohif(browser, viewer, archive)
    yield shown
    await keep(request, browser)
    failed = [
        (one.method, urlsplit(one.url).path, one.status, one.failure)
        for one in await browser.exchanges(archive.url)
        if one.failure != GIVEN_UP and (one.failure or one.status not in {200, 204, 206})
    ]
    assert failed == []
    assert await browser("complaints") == []


@pytest.fixture(scope="session")
async def guarded(azurite, tmp_path_factory):
    """A service that asks its callers who they are, and the provider that knows them; it holds what `archive` does."""
    connection = azurite.connection_string
    secrets = tmp_path_factory.mktemp("secrets").as_uri()
    settings = {"AzureWebJobsStorage": connection, "DicomStorage": connection, "SECRET_STORE": secrets, **VIEWER}
    async with running_service(ROOT, settings, options=("--sign-in",)) as service:
        yield service


@pytest.fixture
async def guarded_pages(request, browser, archive, guarded):
    """The pages of that service."""
    await browser("open")
    yield Pages(browser, guarded.url)
    await keep(request, browser)
    assert [text for text in await browser("complaints") if not text.startswith(REFUSED)] == []


@pytest.fixture
async def pages(request, browser, archive):
    """The pages on a page that is new; no script of them may fail, and nothing may be asked elsewhere (VIEW-11)."""
    await browser("open")
    yield Pages(browser, archive.url)
    await keep(request, browser)
    elsewhere = [one["url"] for one in await browser("exchanges") if not one["url"].startswith((archive.url, *OWN))]
    assert elsewhere == []
    assert [text for text in await browser("complaints") if not text.startswith(REFUSED)] == []
