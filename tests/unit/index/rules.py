"""The rules of the storage design, each with what stands in its place when it is left out.

A mark in the source, `# rule: a writer touches the anchor`, stands above the line that keeps a rule: where a statement
begins there, the whole statement is meant, or its first line if what stands in its place begins a block, too.
A rule is covered if leaving it out fails a test of `tests/unit` that CI runs: `test_rules_matter` tries them all.
"""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MARK = "# rule: "


@dataclass(frozen=True)
class Omission:
    """A rule, and the code that does not keep it."""

    rule: str
    instead: str = "pass"


OMISSIONS = (
    Omission("a writer touches the anchor", 'await self._tables.commit("dicom", operations[anchor.verb == "merge" :])'),
    Omission("what was posted for an anchor that another store has made is taken back"),
    Omission("a delete touches the anchor", 'if await best_effort_commit(self._tables, "dicom", operations[1:]):'),
    Omission(
        "only an untouched study is removed",
        'operations = [RowWrite("delete", partition_key, row.row_key) for row in gone]',
    ),
    Omission(
        "a study that is stored again gets another sort key",
        'return {"sk": "fe5c000000000000", "created": now_ms, "lv": 0}',
    ),
    Omission("the hint comes before the commit", "self._no_states(),"),
    Omission("a commit starts within a minute of its hint"),
    Omission("new instances are posted before their commit", 'await post(self._tables, place, "idxi", {})'),
    Omission("instances that were there before are posted after their commit"),
    Omission("the fold posts instances that were not posted for this incarnation"),
    Omission("a store answers only when it is visible", 'sort_key = ""'),
    Omission("a store looks for its values in the summary", "return True"),
    Omission("a value about to be taken back does not count as shown"),
    Omission("a look during which somebody folds shows nothing"),
    Omission("an upload that was deleted does not come back"),
    Omission("a refused upload is noted before its file goes"),
    Omission("an older upload does not replace a newer one", "return not entry.replace"),
    Omission("the original version goes with its instance", 'original="",'),
    Omission(
        "an update takes back what its instance was the source of, as a deletion does",
        'if change.operation == "delete":',
    ),
    Omission("an update leaves the expiry as it is", "{**entry.study, EXPIRES: str(expires)},"),
    Omission("an update keeps the version that was stored, and no other", 'replaced.blob if replaced else "",'),
    Omission("an update is of the version that it was made from", "elif False:"),
    Omission("an update is decided before its first instance changes", 'progress.stage = "commit"'),
    Omission("what an update has committed is marked before it succeeds"),
    Omission("versions of an instance increase", "version = self._clock.next(0)"),
    Omission("a tombstone has a later version than what it ends", "version = self._clock.next(0)"),
    Omission(
        "an instance row is replaced only as it was read",
        'return RowWrite("replace", partition_key, row_key, properties)',
    ),
    Omission("the errors of a replaced instance go", "errors=(),"),
    Omission("the errors of a deleted instance go, whoever dies meanwhile", "errors=(),"),
    Omission("errors are there before the number says that the instance is done"),
    Omission("errors that were written too late are removed"),
    Omission(
        "an instance is deleted only as it was read", 'RowWrite("replace", partition_key, row.row_key, tombstone),'
    ),
    Omission("an unanswered delete is counted once it is seen to have happened", "ours = 0"),
    Omission(
        "a summary is replaced only as it was read", 'return RowWrite("replace", partition_key, row_key, properties)'
    ),
    Omission(
        "postings are written before the summary that implies them",
        'post(self._tables, place, "idx", {}),',
    ),
    Omission("a folded change waits for the feed"),
    Omission("values that lost are cleaned up, too", "obsolete = before"),
    Omission("an emptied series goes", "self._emptied: set[str] = set()"),
    Omission("what a deleted instance brought is taken back"),
    Omission("a delete answers when what it took back is found as before"),
    Omission("readers take back what a pending deletion takes back"),
    Omission("readers count pending changes"),
    Omission("a study in several pages is read as of one moment", "if True:"),
    Omission("changes without an anchor get one"),
    Omission("the latest value wins", "return True"),
    Omission("an empty PatientID never wins"),
    Omission(
        "the last store decides the expiry, deleted or not",
        'if self.endings.get(keys.ChangeId.parse(source).digest, "") > source',
    ),
    Omission(
        "a stale posting is removed only as it was read", 'RowWrite("delete", posting.partition_key, posting.row_key)'
    ),
    Omission("nothing is unposted while changes are pending"),
    Omission("what the summary implies is not unposted", "return list(postings)"),
    Omission(
        "the postings of live instances stay",
        "implied = {key for row in live[:0] for key in instance_implies(schema, sort_key, study, row)}",
    ),
    Omission(
        "a page is appended only after the head that was read",
        'RowWrite("replace", key, _HEAD, head.properties(next=last + 1, ts=page.timestamp, min=floor)),',
    ),
    Omission("what has its number already gets no other", "found = Found()"),
    Omission("what others have logged is not logged from memory"),
    Omission("who does not know what others have logged forgets what it has committed"),
    Omission("rows that were read before a change was committed do not tell that it is folded", "if look:"),
    Omission("a bucket is sealed when all its pages are acknowledged"),
    Omission("a cycle that has appended nothing reads the head again"),
    Omission("a follower gets what is acknowledged", "end = head.next"),
    Omission("only a feed that has everything tells states", "last = self._log.last_changes(first)"),
    Omission("a window is final only when everything before its end is logged", "is_last = True"),
    Omission("a process remembers what it has committed"),
    Omission("after a commit without an answer a study is looked at"),
    Omission("a study to which another process writes is looked at", "if not owns:"),
    Omission("what others have left is looked at"),
    Omission("what was forgotten for want of room is looked at", "return self._own.get(key) or _Own()"),
    Omission("what a process has committed since is not forgotten with its hint", "if self.is_own(hint):"),
    Omission("timestamps increase whatever the clocks say", "earliest = max(0, head.floor)"),
    Omission("no page comes before the end of a window that was read", "earliest = head.timestamp + 1"),
    Omission("a window is final before it is read", "await asyncio.sleep(0)"),
    Omission("a reader does not leave a bucket before its last page", "if True:"),
    Omission("rows of a second page wait for the next cycle"),
    Omission("folded changes are read after pending ones", "look = _look(place, pending)"),
    Omission("what is committed after a cycle has begun waits for the next", "late: set[ChangeKey] = set()"),
    Omission("what a cycle has found is logged by the next"),
    Omission("what another process has committed may be older than its version", "if False:"),
    Omission("what is late was committed after a cycle that has seen everything", "seen_all = True"),
    Omission("what was found is logged only while no other process logs", "if False:"),
    Omission(
        "a study is passed over only if all its hints are settled",
        "if any(map(self._hints.is_settled, study.hints)):",
    ),
    Omission("a hint with a commit under way says nothing", "if not self.is_own(hint):"),
    Omission("a hint with a commit without an answer says nothing"),
    Omission("a study is looked at again after a commit", "return own is not None and own.idle >= 0"),
    Omission(
        "a process drops its hint only when no commit relies on it",
        "return self.is_own(hint) and self._is_quiet(hint)",
    ),
    Omission(
        "changes of two studies may share an id",
        'found = {(change.id, ""): change for change in look.changes}',
    ),
    Omission(
        "a hint that was given again is not dropped",
        'gone = RowWrite("delete", partition_key, row_key)',
    ),
    Omission("a hint is kept for two minutes", "if True:"),
    Omission("a hint stays while something is unfinished", "if False:"),
    Omission("an emptied study is removed", "if True:"),
    Omission(
        "a study is not removed while changes are pending",
        "if not (rows.anchor and rows.summary) or rows.tally().study.count:",
    ),
    Omission("a file in use is not erased"),
    Omission("files are kept for their retention", "due_ms = milliseconds(obsolete.version)"),
    Omission("tombstones are kept for two days", "if await self._is_needed(place, obsolete):"),
    Omission("a tombstone stays while something of its instance is unfinished", "if now_ms < purge_ms:"),
    Omission(
        "a tombstone is purged only as it was read",
        'gone = RowWrite("delete", place.partition_key, tombstone.row_key)',
    ),
    Omission("overdue work is looked for in the hours before", "_LATE_HOURS = -1"),
    Omission("work that is overdue when it is noted is due now", "due_ms = max(due_ms, 0)"),
    Omission("an expired study is deleted only as it was read", 'if await self._commit(place, live, changes, "*"):'),
    Omission("the expiry is noted before the commit", "self._no_states(),"),
    Omission("a suspect posting is removed only some time later"),
    Omission(
        "a suspect posting is removed only as it was seen", "stale = await self._unposter.stale(place, kind, found)"
    ),
    Omission("a young file may belong to a request", "if parts:"),
    Omission(
        "what came and went in one fold may have been posted by another",
        "if had:",
    ),
    Omission("what a data store refuses for a moment is tried again", "for seconds in PAUSES[:0]:"),
    Omission("what is committed but not visible is not answered as stored"),
    Omission("many pending changes are folded", "crowded = False"),
    Omission(
        "of a repeated instance the first one counts",
        "others = await self.commit(partition, repeated) if repeated else []",
    ),
    Omission("what an outdated writer brought is looked for again"),
    Omission("what was read under an older schema is read again"),
    Omission("nothing is committed on old knowledge of the schema"),
    Omission("what is announced is known everywhere before it is written"),
    Omission("nobody writes an older schema when the walk begins"),
    Omission("changes that are not folded are looked for where they are", "places: dict[str, StudyPlace] = {}"),
    Omission("pending changes of lower schemas are folded before their study is brought on", "if False:"),
    Omission("values of an instance are written before they are posted", "written = number"),
    Omission("the number follows what it promises", "if True:"),
    Omission("a re-index posts before it writes"),
    Omission("a re-index gives a hint, too"),
    Omission(
        "a hint is dropped only when the lists say what the study is",
        "if not (place in emptied and await self._remover.reap(place)):",
    ),
    Omission("a study that is changing is not at rest", "if False:"),
    Omission("the head of a study is read before the study", "head = None"),
    Omission(
        "the head of a study is replaced only as it was read",
        'operations = [RowWrite("upsert", partition_key, _head(place), properties)]',
    ),
    Omission("hints are read before the lists that they make doubtful", "hinted: frozenset[str] | None = frozenset()"),
    Omission("a study that may be changing is read", "if True:"),
    Omission(
        "a re-index writes rows only as it read them",
        'operations = [RowWrite("replace", partition_key, keys.SUMMARY, summary)]',
    ),
)


@cache
def marked(root: Path) -> dict[str, list[tuple[Path, int]]]:
    """The marks in the source below `root`: rule to files and numbers of lines, from 0."""
    found: dict[str, list[tuple[Path, int]]] = {}
    for path in sorted(root.rglob("*.py")):
        for number, line in enumerate(path.read_text().splitlines()):
            if line.strip().startswith(MARK):
                found.setdefault(line.strip().removeprefix(MARK), []).append((path, number))
    return found


def leave_out(source: str, number: int, instead: str) -> str:
    """`source` without the rule whose mark is on line `number`."""
    lines = source.splitlines()
    while lines[number].strip().startswith("#"):
        number += 1
    starting = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt) and node.lineno == number + 1
    ]
    end = number + 1
    if starting and not instead.endswith(":"):
        end = max(node.end_lineno or end for node in starting)
    indent = lines[number][: len(lines[number]) - len(lines[number].lstrip())]
    return "\n".join([*lines[:number], indent + instead, *lines[end:], ""])
