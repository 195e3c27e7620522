"""Operations: waiting for one, with its progress (azure-apis §5)."""

import re
import time
from typing import Any, Final

from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.output import Output
from dicom_cli.service import JSON, Answer, Service

_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 10.0
_ID: Final = re.compile(r"[0-9a-fA-F]{32}")


def waited(service: Service, started: Answer, output: Output, *, wait: bool, sleep: Any = time.sleep) -> ExitCode:
    """Follow the operation that a request has started to its end, if `wait`. Raises CommandFailed."""
    operation = started.json()
    if not wait:
        output.item(operation, f"{operation['id']} is under way: {operation['href']}")
        return ExitCode.DONE
    state = followed(service, operation["id"], output, sleep=sleep)
    output.item(state)
    return ExitCode.DONE if state["status"] in ("succeeded", "completed") else ExitCode.SOME_FAILED


def followed(service: Service, operation_id: str, output: Output, *, sleep: Any = time.sleep) -> dict[str, Any]:
    """The operation once it has ended. Raises CommandFailed."""
    if not _ID.fullmatch(operation_id):
        raise CommandFailed(f"{operation_id!r} is no id of an operation: 32 hexadecimal digits.", ExitCode.WRONG_USE)
    pause, last = _FIRST_WAIT, None
    while True:
        answer = service.ask("GET", f"/v2/operations/{operation_id}", headers={"Accept": JSON})
        state: dict[str, Any] = answer.json()
        if answer.status == 200:
            return state
        if (percent := state.get("percentComplete")) != last:
            output.say(f"{state['status']}, {percent or 0} %")
            last = percent
        sleep(pause)
        pause = min(pause * 1.5, _LONGEST_WAIT)
