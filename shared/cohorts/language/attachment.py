"""Which event each time, and each status, belongs to (NL-3, NL-15, NL-16). Pure."""

from collections.abc import Callable, Sequence

from shared.cohorts.language.parts import (
    PRIORITY,
    DiagnosisPart,
    DrugPart,
    DrugsPart,
    Event,
    ReportPart,
    StudyPart,
    TimePart,
)
from shared.cohorts.language.reading import Reading
from shared.cohorts.language.statuses import StatusPhrase, apply_status

_WORDS = {
    DiagnosisPart: "the diagnosis",
    DrugPart: "the prescription",
    DrugsPart: "the medications that are collected",
    StudyPart: "the study",
    ReportPart: "the report",
}


def attach(reading: Reading) -> None:
    """Give every time and every status of a reading to its event; what fits none is refused."""
    for phrase, at in reading.statuses:
        _attach_status(reading, phrase, at)
    for time, event in reading.times:
        _attach_time(reading, time, event)


def _attach_status(reading: Reading, phrase: StatusPhrase, at: int) -> None:
    behind = [each for each in reading.events if each.start > at and not isinstance(each, StudyPart)]
    before = [each for each in reading.events if each.last_before(at) >= 0]
    fitting = [each for each in _by_distance(before, at) if not isinstance(each, StudyPart)]
    event = min(behind, key=lambda each: each.start) if phrase.before_noun and behind else None
    event = event or (fitting[0] if fitting else None)
    if event is None or not apply_status(phrase, event):
        reading.cursor.refuse(phrase.words, "negation" if phrase.add_to_default else "notSupported")


def _attach_time(reading: Reading, time: TimePart, event: Event | None) -> None:
    at = time.start
    after_diagnosis = "after" in time.window
    fits: Callable[[Event], bool] = (lambda each: isinstance(each, StudyPart)) if after_diagnosis else (lambda _: True)
    if event is None or not fits(event):
        event = _nearest(reading, [each for each in reading.events if fits(each)], at)
    early = any(reading.cursor.has(each, "afterwards") for each in time.words) and not any(
        isinstance(each, DiagnosisPart) and each.last_before(at) >= 0 for each in reading.events
    )
    if (
        event is None
        or early
        or isinstance(event, ReportPart)
        or _is_of_status(reading, event)
        or not _set(event, time)
    ):
        reading.cursor.refuse(time.words, "notSupported")
        return
    text = " ".join(reading.cursor.lexemes[each].text for each in sorted(time.words))
    reading.notes.append(f"“{text}” is taken of {_WORDS[type(event)]}.")


def _is_of_status(reading: Reading, event: Event) -> bool:
    """Whether a status is the verb of the event: when somebody `stopped A` is not when it was prescribed."""
    cursor = reading.cursor
    return any(cursor.has(cursor.back(each), "who", "sex") for each in event.status_words)


def _by_distance(events: Sequence[Event], at: int) -> list[Event]:
    """The nearest first; events of one noun phrase are equally near and come in the order of their kinds."""
    ends: dict[int, int] = {}
    for each in events:
        ends[each.phrase] = max(ends.get(each.phrase, -1), each.last_before(at))

    def key(event: Event) -> tuple[int, int, int]:
        end = ends[event.phrase] if event.phrase else event.last_before(at)
        return -end, PRIORITY.index(type(event)), -event.last_before(at)

    return sorted(events, key=key)


def _nearest(reading: Reading, events: Sequence[Event], at: int) -> Event | None:
    before = [each for each in events if each.last_before(at) >= 0]
    if not before:
        behind = [each for each in events if each.start > at and not isinstance(each, ReportPart)]
        return min(behind, key=lambda each: each.start) if behind else None
    ordered = _by_distance(before, at)
    nearest = ordered[0]
    clause = _of_another_clause(reading, nearest, events, at)
    if clause is not None and reading.choices.choose(2):
        return clause
    if nearest.hangs and not nearest.has_verb:
        governing = [each for each in ordered[1:] if each.has_verb]
        if governing and reading.choices.choose(2):
            return governing[0]
    return nearest


def _of_another_clause(reading: Reading, nearest: Event, events: Sequence[Event], at: int) -> Event | None:
    """The event that follows a time directly, where a comma parts the time from the event before it."""
    cursor = reading.cursor
    end = max((each for time, _ in reading.times if time.start == at for each in time.words), default=at)
    parted = any(cursor.has(each, "comma") for each in range(nearest.last_before(at) + 1, at))
    behind = [each for each in events if each.start > end and not isinstance(each, ReportPart)]
    if not parted or not behind:
        return None
    following = min(behind, key=lambda each: each.start)
    between = range(end + 1, following.start)
    return following if all(cursor.little(each) or cursor.has(each, "with") for each in between) else None


def _set(event: Event, time: TimePart) -> bool:
    """Narrow the window of the event; whether both windows can be said as one."""
    both = set(event.when) & set(time.window)
    mixed = ("within" in event.when) != ("within" in time.window) or "after" in event.when or "after" in time.window
    if event.when and event.when != time.window and (both or mixed):
        return False
    event.when |= time.window
    event.when_words |= time.words
    return True
