"""Documents of the service itself, which lie among the files: their names (storage §4). Pure."""

import re
from dataclasses import dataclass

from shared.index_schema import blob_names

PARTITION_DOCUMENTS = "_partitions/"
"""The prefix of the names of the documents of data partitions."""
FEED_MARKS = "_feed/"
"""The prefix of the names of the marks of the change feed."""
_OF_A_STUDY = re.compile(r"[0-9a-f]{3}/([0-9a-z]+)/([0-9.]+)/study\.([0-9]{8})\.json")


@dataclass(frozen=True, slots=True)
class StudyDocumentName:
    """The parts of the name of a document of a study."""

    namespace: str
    study_instance_uid: str
    number: int


def partition_document(namespace: str) -> str:
    """The blob that holds what a data partition is called: keys and names of files have a digest of that only."""
    return f"{PARTITION_DOCUMENTS}{namespace}.json"


def study_documents(namespace: str, study: str) -> str:
    """The prefix of the names of the documents of a study."""
    return f"{blob_names.blob_prefix(namespace, study)}study."


def study_document(namespace: str, study: str, number: int) -> str:
    """The blob of the document of a study with that number (DAT-53)."""
    return f"{study_documents(namespace, study)}{number:08}.json"


def parse_study_document(name: str) -> StudyDocumentName | None:
    """The parts of a name that `study_document` made; None for any other name."""
    parts = _OF_A_STUDY.fullmatch(name)
    if parts is None:
        return None
    found = StudyDocumentName(parts[1], parts[2], int(parts[3]))
    return found if name == study_document(found.namespace, found.study_instance_uid, found.number) else None


def is_service_document(name: str) -> bool:
    """Whether a blob is of the service itself and no file: what a data partition is called, a mark of the change feed,
    what a study has beside its files.
    """
    return name.startswith((PARTITION_DOCUMENTS, FEED_MARKS)) or parse_study_document(name) is not None
