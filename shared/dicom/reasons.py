"""Failure and warning reasons of the Store transaction (PS3.4 Annex B.2.3, PS3.18 §I.2, PS3.7 Annex C)."""

from enum import IntEnum


class FailureReason(IntEnum):
    """(0008,1197) FailureReason: why an instance was not stored (dicomweb §6.4)."""

    PROCESSING_FAILURE = 0x0110
    """An unexpected fault while the instance was read, written or indexed (PS3.7 C.5.20)."""
    OUT_OF_RESOURCES = 0xA700
    """Storage quota, or size of one instance (PS3.4 B.2.3)."""
    VALIDATION_FAILURE = 0xA900
    """Not a readable Part 10 file, a required attribute missing or invalid, or another study than the path names."""
    ALREADY_STORED = 0xB00E
    """The instance exists (45070). In the warning range of PS3.4, yet a failure here (D-38)."""
    CREATION_PENDING = 0xB00F
    """Somebody else is storing this instance right now (45071, S-7)."""
    CANNOT_UNDERSTAND = 0xC000
    """Bulk data that the metadata refer to are missing, or the data set cannot be encoded (PS3.4 B.2.3)."""
    TRANSFER_SYNTAX_NOT_SUPPORTED = 0xC122
    """PS3.18 §I.2.2; only where a transfer syntax is refused."""


class WarningReason(IntEnum):
    """(0008,1196) WarningReason: what is to be said about an instance that was stored (dicomweb §6.5)."""

    ATTRIBUTES_INVALID = 0x0001
    """Attributes that fail validation were left out of metadata and index (VAL-4, STOW-22); v2 only."""
    DATA_SET_MISMATCH = 0xB007
    """The data set does not match the SOP class (PS3.4 B.2.3); sent for implicit VR (D-11)."""
