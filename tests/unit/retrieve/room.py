"""The whole room behind a boundary, on an archive in memory."""

from shared.dicomweb.document_rules import DocumentRules
from shared.retrieve.functions import transactions
from shared.retrieve.pixel_pool import PixelPool
from shared.retrieve.snapshot import Backend
from tests.builders.http import ALL, boundary, content, routed
from tests.unit.retrieve.archive import Archive

DICOM, OCTETS, JSON = "application/dicom", "application/octet-stream", "application/dicom+json"


class Service:
    """The room behind a boundary."""

    def __init__(self, zip_names="attributes", **limits) -> None:
        self.archive = Archive()
        self.boundary = boundary()
        self.pool = PixelPool(**limits)
        self.transactions = transactions(
            Backend(self.archive.backend.lookup, self.archive.blobs, self.pool),
            DocumentRules(),
            zip_names=zip_names,
        )

    async def get(self, path, accept="*/*", query="", method="GET", credentials=ALL, **headers):
        fields = [*credentials, *(() if accept is None else [("Accept", accept)])]
        fields += [(name.replace("_", "-"), value) for name, value in headers.items()]
        resource, request = routed(method, f"/v2/{path}?{query}" if query else f"/v2/{path}", fields)
        return await self.boundary.run(resource, request, self.transactions[resource.name])

    async def body(self, path, accept="*/*", query=""):
        response = await self.get(path, accept, query)
        data = await content(response)
        assert response.status == 200, data
        return data

    async def status(self, path, accept="*/*", query="", **options):
        response = await self.get(path, accept, query, **options)
        await content(response)
        return response.status


def parts(body):
    boundary_line = body.split(b"\r\n", 1)[0]
    pieces = body.split(boundary_line)[1:-1]
    return [piece.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n") for piece in pieces]


def several(media_type, syntax=""):
    return f'multipart/related; type="{media_type}"' + (f"; transfer-syntax={syntax}" if syntax else "")
