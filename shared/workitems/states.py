"""PS3.4 §CC.1.1 The states of a workitem and the changes between them (worklist §7, §8). Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """A state, as Procedure Step State (0074,1000) has it."""

    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"

    @property
    def is_final(self) -> bool:
        """Whether nothing follows."""
        return self in {State.COMPLETED, State.CANCELED}


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of a request to change the state."""

    changes: bool = False
    code: str = ""
    """The status code of PS3.4 Table CC.2.1-2 of a refusal, or of the warning that nothing had to be done."""

    @property
    def is_refused(self) -> bool:
        """Whether the request fails."""
        return not self.changes and self.code not in _WARNINGS


_NOT_UPDATABLE: Final = "C300"
_WRONG_TRANSACTION_UID: Final = "C301"
_IN_PROGRESS_ALREADY: Final = "C302"
ALREADY_CANCELED: Final = "B304"
ALREADY_COMPLETED: Final = "B306"
_WARNINGS: Final = frozenset({ALREADY_CANCELED, ALREADY_COMPLETED})


def change(state: State, claim: str, transaction_uid: str, target: State) -> Answer:
    """The answer to a request for `target`.

    `claim` is the Transaction UID that the performer has set; '' before that, and of what was canceled before.
    """
    if state is State.SCHEDULED and target is State.IN_PROGRESS:
        return Answer(changes=True)
    if not claim or claim != transaction_uid:
        return Answer(code=_WRONG_TRANSACTION_UID)
    if state is State.IN_PROGRESS:
        return Answer(code=_IN_PROGRESS_ALREADY) if target is state else Answer(changes=True)
    if target is state:
        return Answer(code=ALREADY_COMPLETED if state is State.COMPLETED else ALREADY_CANCELED)
    return Answer(code=_NOT_UPDATABLE)
