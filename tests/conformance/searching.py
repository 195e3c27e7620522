"""What the tests of the search share: a patient of one's own, and how results are read."""

from tests.builders.images import Image, image, new_uid

JSON = "application/dicom+json"
STUDY, SERIES, SOP_INSTANCE = "0020000D", "0020000E", "00080018"


class Patient:
    """A patient whom nobody else knows, with letters of its own for texts and names."""

    def __init__(self) -> None:
        self.id = f"Q{new_uid()[-14:]}"
        self.word = "".join(chr(ord("a") + int(digit)) for digit in self.id[1:])

    def image(self, study=None, series=None, sop=None, **attributes) -> Image:
        """An image of this patient, without pixels."""
        return image(study, series, sop, frames=0, PatientID=self.id, **attributes)


def search(exchange, path):
    """The results, [] for 204."""
    reply = exchange.get(path, JSON)
    assert reply.status_code in {200, 204}, (path, reply.text)
    if reply.status_code == 204:
        assert reply.content == b""
        return []
    assert reply.headers["Content-Type"].startswith(JSON)
    found = reply.json()
    assert found
    return found


def values(results, tag):
    """The first value of an attribute of each result."""
    return [result[tag]["Value"][0] for result in results]


def uid(one: Image, tag: str) -> str:
    """One of the UIDs of an image."""
    names = {STUDY: "study_instance_uid", SERIES: "series_instance_uid", SOP_INSTANCE: "sop_instance_uid"}
    return getattr(one.identifier, names[tag])


def studies(exchange, query):
    """The UIDs of the studies that a search finds."""
    return set(values(search(exchange, f"studies?{query}"), STUDY))
