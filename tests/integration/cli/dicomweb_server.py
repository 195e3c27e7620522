"""Small DICOMweb servers for the command line: one that is read from, with its ways, and one that is written to."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.builders.images import Image

BOUNDARY = b"a-boundary"


@dataclass
class DicomwebServer:
    """What it holds, how it behaves, and what it was asked."""

    files: dict[str, Image] = field(default_factory=dict)
    """By the path of the instance."""
    page: int = 1000
    """The most results of a search."""
    offsets: bool = True
    """Whether offset counts."""
    star: bool = True
    """Whether a transfer syntax of `*` may be asked for."""
    broken: set[str] = field(default_factory=set)
    """Paths that it does not give."""
    refused: set[str] = field(default_factory=set)
    """SOP Instance UIDs that it does not take."""
    altered: bool = False
    """Whether it stores other files than it is sent."""
    changes: list[dict[str, Any]] = field(default_factory=list)
    tags: list[dict[str, Any]] = field(default_factory=list)
    labels: dict[str, list[str]] = field(default_factory=dict)
    """Labels by study."""
    unlabelled: set[str] = field(default_factory=set)
    """Studies that take no labels."""
    partitions: tuple[str, ...] = ()
    """Data partitions, all with the same files."""
    asked: list[str] = field(default_factory=list)
    failing: int = 0
    """Stores after that many are not answered any more; 0: never."""
    url: str = ""

    def add(self, *images: Image) -> None:
        """Hold files."""
        for each in images:
            self.files[f"/{each.path}"] = each

    def search(self, path: str, query: dict[str, str]) -> list[dict[str, Any]]:
        """The results of a search for studies, or for the instances of one."""
        wanted = [each.identifier for each in self.files.values()]
        if path.endswith("/instances"):
            study = path.split("/")[2]
            rows = [
                {
                    "0020000D": {"vr": "UI", "Value": [one.study_instance_uid]},
                    "0020000E": {"vr": "UI", "Value": [one.series_instance_uid]},
                    "00080018": {"vr": "UI", "Value": [one.sop_instance_uid]},
                }
                for one in wanted
                if one.study_instance_uid == study
            ]
        else:
            begin, _, end = query.get("StudyDate", "-").partition("-")
            found = dict.fromkeys(
                each.identifier.study_instance_uid
                for each in self.files.values()
                if not begin or begin <= date_of(each) <= end
            )
            if "StudyInstanceUID" in query:
                found = {uid: None for uid in found if uid == query["StudyInstanceUID"]}
            rows = [
                {
                    "0020000D": {"vr": "UI", "Value": [uid]},
                    "00201208": {"vr": "IS", "Value": [sum(one.study_instance_uid == uid for one in wanted)]},
                }
                for uid in found
            ]
        start = int(query.get("offset", 0)) if self.offsets else 0
        return rows[start : start + min(self.page, int(query.get("limit", 1000)))]

    def feed(self, query: dict[str, str], *, first: bool) -> list[dict[str, Any]]:
        """A page of the change feed: of the first version behind a number, of the second from a time on."""
        offset, limit = int(query["offset"]), int(query["limit"])
        if first:
            return [each for each in self.changes if each["sequence"] > offset][:limit]
        return [each for each in self.changes if each["timestamp"] >= query["startTime"]][offset : offset + limit]

    def labelled(self, query: dict[str, str]) -> list[dict[str, Any]]:
        """The labels in use, or those of the studies that are named."""
        if "StudyInstanceUID" not in query:
            return [
                {"label": each, "studies": 1} for each in sorted({one for of in self.labels.values() for one in of})
            ]
        studies = query["StudyInstanceUID"].split(",")
        return [{"studyInstanceUid": each, "labels": self.labels.get(each, [])} for each in studies]


def unparted(path: str) -> str:
    """A path behind the version and the data partition."""
    return re.sub(r"^/v[12](/partitions/[^/]+(?=/))?", "", path)


def date_of(image: Image) -> str:
    """The StudyDate of a file; empty if it has none."""
    at = image.data.find(b"\x08\x00\x20\x00DA")
    length = int.from_bytes(image.data[at + 6 : at + 8], "little")
    return image.data[at + 8 : at + 8 + length].decode().strip() if at >= 0 else ""


@contextmanager
def serving(server: DicomwebServer, known: dict[bytes, Image]) -> Iterator[DicomwebServer]:
    """A server on a free port. `known`: files by their content, for those that are stored."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def answer(self, status: int, body: bytes = b"", kind: str = "application/dicom+json") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            server.asked.append(f"GET {self.path}")
            path, query = unparted(parts.path), dict(parse_qsl(parts.query))
            if path in server.files:
                self.give(server.files[path], path)
            elif path == "/studies" or path.endswith("/instances"):
                rows = server.search(path, query)
                self.answer(200 if rows else 204, json.dumps(rows).encode() if rows else b"")
            elif path == "/partitions":
                self.answer(200, json.dumps([{"partitionName": each} for each in server.partitions]).encode())
            elif path == "/extendedquerytags":
                self.answer(200, json.dumps(server.tags).encode())
            elif path == "/changefeed/latest":
                self.answer(200, json.dumps(server.changes[-1]).encode()) if server.changes else self.answer(204)
            elif path == "/changefeed":
                self.answer(200, json.dumps(server.feed(query, first=parts.path.startswith("/v1"))).encode())
            elif path == "/labels":
                self.answer(200, json.dumps(server.labelled(query)).encode(), "application/json")
            else:
                self.answer(404)

        def give(self, image: Image, path: str) -> None:
            accepted = self.headers["Accept"]
            if path in server.broken:
                self.answer(500)
            elif "multipart" not in accepted:
                self.answer(200, image.data, "application/dicom")
            elif not server.star and "transfer-syntax=*" in accepted:
                self.answer(406)
            else:
                body = b"--%b\r\nContent-Type: application/dicom\r\n\r\n%b\r\n--%b--" % (BOUNDARY, image.data, BOUNDARY)
                self.answer(200, body, f'multipart/related; type="application/dicom"; boundary={BOUNDARY.decode()}')

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.asked.append(f"{self.command} {self.path}")
            if self.path.endswith("/extendedquerytags"):
                server.tags += json.loads(body)
                self.answer(202, b"{}", "application/json")
                return
            if server.failing and sum(each.endswith("/studies") for each in server.asked) > server.failing:
                self.connection.close()
                return
            content = body.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0]
            image = known[content]
            sop = image.identifier.sop_instance_uid
            if sop in server.refused:
                self.fail(43264, "a value is not valid")
            elif f"/{image.path}" in server.files and self.command == "POST":
                self.fail(45070, "it is there")
            else:
                server.add(next(iter(known.values())) if server.altered else image)
                server.files[f"/{image.path}"] = next(iter(known.values())) if server.altered else image
                self.answer(200, b"{}")

        def do_PATCH(self) -> None:
            added = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["add"]
            server.asked.append(f"PATCH {self.path}")
            study = unparted(self.path).split("/")[2]
            if study in server.unlabelled or not any(path.startswith(f"/studies/{study}/") for path in server.files):
                self.answer(400 if study in server.unlabelled else 404)
                return
            server.labels[study] = [*server.labels.get(study, []), *added]
            self.answer(200, b"{}", "application/json")

        do_PUT = do_POST  # noqa: N815 - the name that the library calls

        def do_DELETE(self) -> None:
            server.asked.append(f"DELETE {self.path}")
            found = server.files.pop(self.path.removeprefix("/v2"), None)
            self.answer(204 if found else 404)

        def fail(self, reason: int, comment: str) -> None:
            item = {
                "00081197": {"vr": "US", "Value": [reason]},
                "00741048": {"vr": "SQ", "Value": [{"00000902": {"vr": "LO", "Value": [comment]}}]},
            }
            self.answer(409, json.dumps({"00081198": {"vr": "SQ", "Value": [item]}}).encode())

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        server.url = f"http://127.0.0.1:{listening.server_address[1]}"
        threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server
        finally:
            listening.shutdown()
