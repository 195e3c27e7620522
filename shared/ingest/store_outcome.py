"""The outcome of a store for each instance, whichever way it came (dicomweb §6.4 to §6.6)."""

from dataclasses import dataclass

from shared.dicom.identifiers import InstanceIdentifier
from shared.dicom.reasons import FailureReason, WarningReason


@dataclass(frozen=True, slots=True)
class StoreOutcome:
    """The outcome of one instance of a store."""

    sop_class_uid: str | None = None
    """As stored, even when it is what is wrong; None if the file was not readable or has none."""
    sop_instance_uid: str | None = None
    """Likewise."""
    identifier: InstanceIdentifier | None = None
    """None if the instance failed validation."""
    failure: FailureReason | None = None
    """None: the instance is stored and can be found."""
    warning: WarningReason | None = None
    comments: tuple[str, ...] = ()
    """The error comments of FailedAttributesSequence (STOW-36)."""
    several_values: bool = False
    """The response carries a Warning header (VAL-8)."""
    odd: bool = False
    """Elements of the file were read as something else than it says (STOW-17, STOW-18)."""
    explanation: str = ""
    """Of a failure, one sentence that says what was wrong, without values of patient attributes (STOW-37)."""
