"""The fields that requests about patients have in common (data-safety §6, §8). Pure."""

from dataclasses import dataclass
from typing import Any, Final

from shared.dicom import validation
from shared.dicomweb.query_parameters import boolean, invalid_parameter, pairs
from shared.http.json_body import JsonBody, invalid_field, json_body
from shared.http.messages import Request

_LONGEST_REASON: Final = 1024


@dataclass(frozen=True, slots=True)
class PatientRequest:
    """A request about the data of a patient, whose body has not been received yet."""

    body: JsonBody
    dry_run: bool
    """Nothing is to be changed."""


def patient_request(request: Request, *, most: int) -> PatientRequest:
    """The request, with a body of at most `most` bytes. Raises InvalidRequest, UnsupportedMedia."""
    return PatientRequest(json_body(request, most=most), _dry_run(request))


def _dry_run(request: Request) -> bool:
    """Whether the query string says that nothing is to be changed. Raises InvalidRequest."""
    given = [value for name, value in pairs(request.query) if name.lower() == "dryrun"]
    if len(given) > 1:
        raise invalid_parameter("DryRun", "It is given more than once.")
    return boolean(given[0] if given else None, "DryRun", default=False)


def long_string(value: Any, path: str) -> str:
    """A value of VR LO. Raises InvalidRequest, which names the field `path`."""
    if not isinstance(value, str) or not value.strip():
        raise invalid_field(path, "It is required, as a text.")
    if "\\" in value or not value.isprintable() or validation.strict("LO", [value]) is not None:
        raise invalid_field(path, "It is no value of VR LO.")
    return value.strip()


def reason_of(value: Any) -> str:
    """Why somebody asks for it. Raises InvalidRequest."""
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST_REASON:
        raise invalid_field("reason", f"It is required, as a text of at most {_LONGEST_REASON} characters.")
    return value.strip()
