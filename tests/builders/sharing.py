"""A service in memory: search, retrieve and shares, for callers with roles or with tokens of shares."""

from collections.abc import Iterable, Sequence
from typing import Any

import azure.functions as func
import orjson
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from shared.dicom.identifiers import ResourceIdentifier
from shared.dicomweb.document_rules import DocumentRules
from shared.dicomweb.partitions import Partition
from shared.dicomweb.routes import match
from shared.export.copying import Files
from shared.export.records import ExportRecords
from shared.http.boundary import Boundary
from shared.http.messages import Request, Response
from shared.http.transaction import Context
from shared.ingest.ingest import Ingest
from shared.ingest.ingest_settings import IngestSettings
from shared.operations.model import OperationType
from shared.operations.runner import Runner
from shared.operations.store import Operations
from shared.retrieve import functions as retrieve
from shared.retrieve.snapshot import Backend
from shared.search import functions as search
from shared.shares import functions as shares
from shared.shares.authentication import ShareAuthenticator
from shared.shares.copies import Copies, CopyStores
from shared.shares.copying import CopyWork
from shared.shares.present import PresentStudies
from shared.shares.store import ShareStore
from shared.shares.transaction import ClinicalData, CohortStudies, Shares
from tests.builders.functions import Function
from tests.builders.http import ALL, KnownPartitions, TokenAuthenticator, routed, settings, transaction
from tests.builders.images import SECONDARY_CAPTURE, Image, image
from tests.builders.retrieve import ImageArchive
from tests.builders.service import PARTITION, Time
from tests.fakes.containers import Urls
from tests.fakes.secrets import MemorySecrets

DAY = "P1D"


async def _unreachable(_request: Request, _context: Context) -> Response:
    raise AssertionError("The transaction was reached.")


async def _no_lists() -> bool:
    return False


class SharingService:
    """Files in the real index. The clock of shares stands still unless a test moves it."""

    def __init__(
        self,
        *,
        cohort_studies: CohortStudies | None = None,
        clinical_data: ClinicalData | None = None,
        secrets: bool = True,
        **fields: object,
    ) -> None:
        self.archive = ImageArchive()
        self.time = Time()
        self.store = ShareStore(self.archive.tables)
        present = PresentStudies(self.archive.lookup, self.time)
        authenticator = ShareAuthenticator(TokenAuthenticator(), self.store, present, self.time, self.time)
        self.directory = KnownPartitions("ward")
        self.boundary = Boundary(settings(**fields), authenticator, self.directory)
        archive = self.archive
        self.secrets = MemorySecrets()
        self.operations = Operations(archive.tables, self.time)
        records = ExportRecords(archive.tables, self.operations, self.secrets if secrets else None, self.time)
        self.copies = Copies(
            CopyStores(
                archive.tables, archive.blobs, archive.index, archive.lookup, records, self.operations, self.store
            ),
            self.time,
        )
        files = Files(archive.blobs, archive.lookup, Urls())
        rules = IngestSettings(max_file_bytes=2**30)
        self.ingest = Ingest(archive.blobs, archive.index, archive.lookup, self.directory, rules=rules, now=self.time)
        self.copying = CopyWork(files, records, self.store, self.ingest)
        self.runner = Runner(self.operations, {OperationType.SHARE: self.copying}, look_seconds=0.01)
        blueprints = (
            retrieve.blueprint(self.boundary, Backend(archive.lookup, archive.blobs), DocumentRules()),
            search.blueprint(
                self.boundary,
                archive.tables,
                archive.lookup,
                archive.blobs,
                archive.shards,
                study_lists=_no_lists,
                schemas=archive.schemas,
            ),
            shares.blueprint(
                self.boundary,
                Shares(
                    self.store,
                    archive.lookup,
                    self.time,
                    cohort_studies=cohort_studies,
                    clinical_data=clinical_data,
                    copies=self.copies,
                ),
            ),
        )
        app = func.FunctionApp()
        for blueprint in blueprints:
            app.register_functions(blueprint)
        self._functions = {
            each.get_function_name(): Function(each.get_function_name(), each.get_user_function())
            for each in app.get_functions()
        }

    def renew(self) -> None:
        """Another process takes the operations over."""
        self.runner = Runner(self.operations, {OperationType.SHARE: self.copying}, look_seconds=0.01)

    @property
    def partition(self) -> Partition:
        """The data partition of everything."""
        return PARTITION

    @staticmethod
    def study(uid: str) -> ResourceIdentifier:
        """The scope of a study."""
        return ResourceIdentifier(uid)

    async def store_images(self, *images: Image) -> None:
        """Store files, as if each came by a request of its own."""
        for one in images:
            await self.archive.store(one)

    async def ask(
        self, method: str, path: str, *, token: str = "", accept: str = "*/*", body: bytes = b"", **headers: str
    ) -> Response:
        """A request for a path behind the version, of who may do everything or of who has that token."""
        target = f"/v2/{path}"
        found = match(method, target.partition("?")[0], data_partitions=False)
        assert found is not None, path
        credentials: Iterable[tuple[str, str]] = (("Authorization", f"Bearer {token}"),) if token else ALL
        fields = [*credentials, ("Accept", accept)]
        fields += [(name.replace("_", "-"), value) for name, value in headers.items()]
        if body:
            fields.append(("Content-Type", "application/json"))
        return await self._functions[found.resource.name].request(method, target, fields, body)

    async def refused(self, method: str, path: str, token: str) -> Response:
        """The answer to a request whose transaction must not be reached."""
        resource, request = routed(method, f"/v2/{path}", (("Authorization", f"Bearer {token}"),))
        return await self.boundary.run(resource, request, transaction(_unreachable))

    async def share(self, *studies: str, token: str = "", **members: Any) -> dict[str, Any]:
        """The answer to a request for a share; of studies, or of what `members` say."""
        document = {"expiresIn": DAY, **({"studies": list(studies)} if studies else {}), **members}
        answer = await self.ask("POST", "shares", token=token, body=orjson.dumps(document))
        assert answer.status == 201, answer.body
        return said(answer)

    async def token(self, *studies: str, **members: Any) -> str:
        """The token of a new share."""
        return str((await self.share(*studies, **members))["token"])


def said(answer: Response) -> Any:
    """The JSON document of an answer."""
    assert isinstance(answer.body, bytes)
    return orjson.loads(answer.body)


def referring(study: str, series: str, sop: str, *others: Sequence[str], **attributes: Any) -> Image:
    """An image that refers to other instances in the ways of the standard (PS3.3 Tables C.7-3, C.12-8, 10-3)."""
    images, studies = Items(), Items()
    for other_study, other_series, other_sop in others:
        one = Dataset()
        one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = SECONDARY_CAPTURE, other_sop
        images.append(one)
        a_series = Dataset()
        a_series.SeriesInstanceUID, a_series.ReferencedInstanceSequence = other_series, Items([one])
        a_study = Dataset()
        a_study.StudyInstanceUID, a_study.ReferencedSeriesSequence = other_study, Items([a_series])
        studies.append(a_study)
    given = {"SourceImageSequence": images, "StudiesContainingOtherReferencedInstancesSequence": studies}
    return image(study, series, sop, **given, **attributes)
