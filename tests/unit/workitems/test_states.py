"""PS3.4 §CC.1.1 The states and their changes."""

import pytest

from shared.workitems.states import Answer, State, change

RIGHT, WRONG = "1.1", "1.2"
MATRIX = [
    # state, claim, Transaction UID, answers for IN PROGRESS, COMPLETED, CANCELED
    ("SCHEDULED", "", RIGHT, "ok", "C301", "C301"),
    ("IN PROGRESS", RIGHT, RIGHT, "C302", "ok", "ok"),
    ("IN PROGRESS", RIGHT, WRONG, "C301", "C301", "C301"),
    ("IN PROGRESS", RIGHT, "", "C301", "C301", "C301"),
    ("COMPLETED", RIGHT, RIGHT, "C300", "B306", "C300"),
    ("COMPLETED", RIGHT, WRONG, "C301", "C301", "C301"),
    ("CANCELED", RIGHT, RIGHT, "C300", "C300", "B304"),
    ("CANCELED", RIGHT, WRONG, "C301", "C301", "C301"),
    ("CANCELED", "", RIGHT, "C301", "C301", "C301"),
    ("CANCELED", "", "", "C301", "C301", "C301"),
]
TARGETS = (State.IN_PROGRESS, State.COMPLETED, State.CANCELED)
CASES = [
    (State(state), claim, uid, target, answer)
    for state, claim, uid, *answers in MATRIX
    for target, answer in zip(TARGETS, answers, strict=True)
]


@pytest.mark.spec("WS-1")
@pytest.mark.parametrize(("state", "claim", "uid", "target", "expected"), CASES)
def test_the_state_changes_as_the_table_says(state, claim, uid, target, expected):
    answer = change(state, claim, uid, target)

    assert answer == (Answer(changes=True) if expected == "ok" else Answer(code=expected))
    assert answer.is_refused == expected.startswith("C")


def test_two_states_are_final():
    assert [state for state in State if state.is_final] == [State.COMPLETED, State.CANCELED]
