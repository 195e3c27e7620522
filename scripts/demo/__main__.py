"""`make demo`: stores the ten studies at a service and says where to look."""

import sys
from collections.abc import Callable, Sequence
from typing import Final

from dicom_cli.configuration import configured
from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.service import Service
from scripts.demo.building import Study, part10
from scripts.demo.documents import ecg, letter, report
from scripts.demo.pictures import slide, ultrasound, video
from scripts.demo.scans import ct, follow_up, mr, radiotherapy

STUDIES: Final[Sequence[Callable[[], Study]]] = (
    ct, follow_up, mr, ultrasound, report, slide, letter, ecg, radiotherapy, video,
)  # fmt: skip  # read at once: one item a line says no more
_BOUNDARY: Final = "demonstration-of-nobody"
_STORED: Final = 200
_THERE: Final = 409
"""Every instance is there from an earlier run: their UIDs are always the same."""


def store(service: Service, study: Study) -> str:
    """What became of a study. Raises CommandFailed."""
    parts = [
        f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode() + part10(each) + b"\r\n"
        for each in study.data_sets
    ]
    answer = service.ask(
        "POST",
        service.path("studies"),
        body=b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode(),
        headers={
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}',
            "Accept": "application/dicom+json",
        },
        expect=(_STORED, 202, _THERE),
    )
    return {_STORED: "stored", _THERE: "is there already"}.get(answer.status, "stored in part")


def main() -> int:
    """Store them all."""
    service = Service(configured({"url": sys.argv[1] if len(sys.argv) > 1 else None}))
    try:
        for make in STUDIES:
            study = make()
            print(f"{study.title:45} {store(service, study):18} {study.study_instance_uid}", flush=True)
    except CommandFailed as failure:
        print(failure, file=sys.stderr)
        return failure.code
    print(f"""
  look    {service.url}/ui/
  search  curl '{service.url}{service.path("studies")}?PatientID=DEMO-001'
""")
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main())
