"""Instances that are no pictures: videos and encapsulated documents, and what they are sent as (BULK-6, REND-10)."""

from dataclasses import dataclass
from typing import Final

from shared.dicom.attributes import Attributes
from shared.dicom.elements import first
from shared.dicom.media_types import DOCUMENT_TYPES, PDF, video_type
from shared.dicom.part10.bulk_data import PIXEL_DATA
from shared.retrieve.snapshot import Snapshot

DOCUMENT: Final = "00420011"
_DOCUMENT_TYPE: Final = "00420012"
_DOCUMENT_LENGTH: Final = "00420015"


@dataclass(frozen=True, slots=True)
class Medium:
    """The media type of a value, and how much of the value it is."""

    path: str
    media_type: str
    transfer_syntax_uid: str | None = None
    """Of a video."""
    length: int | None = None
    """Bytes of the document, without the padding of the value; None: not known."""

    @property
    def shown(self) -> bool:
        """Whether a browser may show it in its place; other documents are for saving."""
        return self.transfer_syntax_uid is not None or self.media_type == PDF


def medium_of(snapshot: Snapshot, attributes: Attributes) -> Medium | None:
    """The video or document that an instance is; None: neither."""
    video = video_type(snapshot.syntax)
    if video is not None and PIXEL_DATA in attributes:
        return Medium(PIXEL_DATA, video, snapshot.syntax)
    media_type = str(first(attributes, _DOCUMENT_TYPE) or "").strip().lower()
    if DOCUMENT not in attributes or media_type not in DOCUMENT_TYPES:
        return None
    length = first(attributes, _DOCUMENT_LENGTH)
    return Medium(DOCUMENT, media_type, length=length if isinstance(length, int) and length > 0 else None)
