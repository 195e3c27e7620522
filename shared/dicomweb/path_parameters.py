"""The variable segments of the resources' URLs (PS3.18 §8.2): what they are, for documents and for checks."""

from collections.abc import Mapping

from shared.dicomweb.documentation import UID, PathParameter

PATH_PARAMETERS: Mapping[str, PathParameter] = {
    "partition": PathParameter(
        "Data partition", {"type": "string", "pattern": "^[A-Za-z0-9.\\-_]{1,64}$"}, "Microsoft.Default"
    ),
    "study": PathParameter("StudyInstanceUID", UID.reference, "1.2.826.0.1.3680043.8.498.1", "StudyInstanceUID"),
    "series": PathParameter("SeriesInstanceUID", UID.reference, "1.2.826.0.1.3680043.8.498.2", "SeriesInstanceUID"),
    "instance": PathParameter("SOPInstanceUID", UID.reference, "1.2.826.0.1.3680043.8.498.3", "SOPInstanceUID"),
    "workitem": PathParameter(
        "SOPInstanceUID of a workitem", UID.reference, "1.2.826.0.1.3680043.8.498.4", "SOPInstanceUID"
    ),
    "requester": PathParameter(
        "AE title of who asks: event reports name it, and a claim is told of cancellations by it",
        {"type": "string", "pattern": "^[^/\\\\\\x00-\\x1f]{1,64}$"},
        "PERFORMER",
    ),
    "aetitle": PathParameter(
        "AE title of a subscriber", {"type": "string", "pattern": "^[!-.0-\\[\\]-~]{1,16}$"}, "PERFORMER"
    ),
    "frames": PathParameter(
        "Frame numbers, separated by commas; the first one is 1",
        {"type": "string", "pattern": "^[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})*$"},
        "1,2",
    ),
    "path": PathParameter(
        "Place of a value in the data set, as in BulkDataURI: tags, with item numbers in between",
        {"type": "string", "pattern": "^[0-9A-F]{8}(/[1-9][0-9]*/[0-9A-F]{8})*$"},
        "7FE00010",
    ),
    "file": PathParameter("File of the pages for browsers", {"type": "string"}, "configuration.json"),
    "tag": PathParameter(
        "Extended query tag: a keyword, or 8 hexadecimal digits, or two of them joined by a dot",
        {"type": "string", "pattern": "^[A-Za-z0-9]{1,64}(\\.[A-Za-z0-9]{1,64})?$"},
        "00101010",
    ),
    "rule": PathParameter(
        "Id of a worklist rule, a GUID",
        {"type": "string", "pattern": "^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$"},
        "9b1c0d5e8f2a4b6c8d0e1f2a3b4c5d6e",
    ),
    "operation": PathParameter(
        "Operation id, a GUID",
        {"type": "string", "pattern": "^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$"},
        "9b1c0d5e8f2a4b6c8d0e1f2a3b4c5d6e",
    ),
    "error": PathParameter("Id of an error", {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,400}$"}, "Rmhpcg"),
    "link": PathParameter(
        "Id of a choice", {"type": "string", "pattern": "^[0-9a-f]{32}$"}, "0123456789abcdef0123456789abcdef"
    ),
    "cohort": PathParameter(
        "Cohort id, a GUID: that of the operation that has run it",
        {"type": "string", "pattern": "^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$"},
        "9b1c0d5e8f2a4b6c8d0e1f2a3b4c5d6e",
    ),
    "share": PathParameter(
        "Id of a share", {"type": "string", "pattern": "^[a-z0-9]{1,12}_[A-Za-z0-9_-]{22}$"}, "0_mGr0eYNsT6uBdHk2vWq4bA"
    ),
    "patient": PathParameter(
        "Id of a Patient of the FHIR server", {"type": "string", "pattern": "^[A-Za-z0-9.\\-]{1,64}$"}, "pat-1"
    ),
}
"""The variable segments of the templates, by name."""


def path_parameters(template: str) -> list[str]:
    """The names of the variable segments of a template, in order."""
    return [segment[1:-1].removeprefix("*") for segment in template.split("/") if segment.startswith("{")]
