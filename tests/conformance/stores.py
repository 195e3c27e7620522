"""A client that stores, whole requests and strange ones, and looks at what was stored."""

import requests

from tests.builders.images import multipart

DICOM = "application/dicom"
JSON = "application/dicom+json"
B = "a-boundary-that-occurs-nowhere-else"
RELATED = f'multipart/related; type="application/dicom"; boundary={B}'

RETRIEVE_URL, FAILED, STORED = "00081190", "00081198", "00081199"
EXPIRY = "msdicom-expiry-time-milliseconds"


class Client:
    """Stores, and looks at what was stored."""

    def __init__(self, url, version):
        self.base = f"{url.rstrip('/')}/{version}"
        self.v2 = version == "v2"
        self.session = requests.Session()

    def post(self, body, content_type=RELATED, *, path="studies", method="POST", accept=JSON, **headers):
        fields = {"Accept": accept, "Content-Type": content_type, **headers}
        return self.session.request(method, f"{self.base}/{path}", data=body, headers=fields, timeout=120)

    def store(self, *files, **options):
        body, content_type = multipart([one.data for one in files])
        return self.post(body, content_type, **options)

    def get(self, path, accept="*/*", **headers):
        return self.session.get(f"{self.base}/{path}", headers={"Accept": accept, **headers}, timeout=60)

    def file_of(self, one):
        return self.get(one.path, f"{DICOM}; transfer-syntax=*")

    def metadata(self, one):
        [found] = self.get(f"{one.path}/metadata", JSON).json()
        return found

    def search(self, path, **query):
        reply = self.session.get(f"{self.base}/{path}", params=query, headers={"Accept": JSON}, timeout=60)
        return reply.json() if reply.status_code == 200 else []

    def is_stored(self, one):
        return self.file_of(one).status_code == 200


def part(data, content_type=DICOM):
    head = "" if content_type is None else f"Content-Type: {content_type}\r\n"
    return f"--{B}\r\n{head}\r\n".encode() + data + b"\r\n"


def parts(*each):
    return b"".join(each) + f"--{B}--\r\n".encode()


def item(reply, sequence, number=0):
    return reply.json()[sequence]["Value"][number]


def value(element):
    return element["Value"][0]


def reasons(reply):
    return [value(each["00081197"]) for each in reply.json().get(FAILED, {}).get("Value", [])]


def comments(an_item):
    return [value(each["00000902"]) for each in an_item["00741048"].get("Value", [])]


def warning(reply, number=0):
    element = item(reply, STORED, number).get("00081196")
    return value(element) if element else None
