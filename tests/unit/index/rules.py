"""The rules of the storage design, each as the change of source that leaves it out.

A rule is covered if leaving it out fails a test of `tests/unit/index` that CI runs: `test_rules_matter` tries them all.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Omission:
    """A rule, and the text of one module of `shared` that keeps it, replaced by text that does not."""

    rule: str
    module: str
    keeps: str
    breaks: str


OMISSIONS = (
    Omission(
        "a writer touches the anchor",
        "index/commit",
        '            await self._tables.commit("dicom", operations)\n        except Ambiguous:\n',
        '            await self._tables.commit("dicom", operations[anchor.verb == "merge" :])\n'
        "        except Ambiguous:\n",
    ),
    Omission(
        "what was posted for an anchor that another store has made is taken back",
        "index/commit",
        "                await self._take_back(place, posted)\n",
        "                pass\n",
    ),
    Omission(
        "a delete touches the anchor",
        "index/deletion",
        'await self._tables.commit("dicom", operations)',
        'await self._tables.commit("dicom", operations[1:])',
    ),
    Omission(
        "only an untouched study is removed",
        "upkeep/cleanup",
        'Operation("delete", partition_key, row.row_key, etag=row.etag) for row in gone',
        'Operation("delete", partition_key, row.row_key) for row in gone',
    ),
    Omission(
        "a study that is stored again gets another sort key",
        "index/fold",
        '"sk": keys.new_sort_key(now_ms)',
        '"sk": "fe5c000000000000"',
    ),
    Omission("the hint comes before the commit", "index/commit", "self._hints.give(place),", "asyncio.sleep(0),"),
    Omission(
        "a commit starts within a minute of its hint",
        "index/commit",
        "if self._hints.age(place) > COMMIT_SECONDS - _SPARE_SECONDS:",
        "if False:",
    ),
    Omission(
        "new instances are posted before their commit",
        "index/commit",
        'await post(self._tables, place, "idxi", posted)',
        'await post(self._tables, place, "idxi", {})',
    ),
    Omission(
        "instances that were there before are posted after their commit",
        "index/read_your_writes",
        "            await _post_instances(tables, place, seen.sort_key, changes)\n",
        "",
    ),
    Omission(
        "the fold posts instances that were not posted for this incarnation",
        "index/fold",
        'if change.operation == "create" and change.posted != sort_key:',
        "if False:",
    ),
    Omission(
        "a store answers only when it is visible",
        "index/instances",
        "            sort_key = await make_visible(self._tables, self._folder, place, changes, is_new=is_new)\n",
        '            sort_key = ""\n',
    ),
    Omission(
        "a store looks for its values in the summary",
        "index/read_your_writes",
        "return value == text or not text or (bool(value) and source > change_id)",
        "return True",
    ),
    Omission(
        "a value about to be taken back does not count as shown",
        "index/read_your_writes",
        '        if self.deletions.get(source[17:], "") > source:\n            return False\n',
        "",
    ),
    Omission(
        "an upload that was deleted does not come back",
        "index/commit",
        "    elif state.remembers(entry.blob):\n        result.outcomes[uid] = CommitOutcome.DELETED\n",
        "",
    ),
    Omission(
        "a refused upload is noted before its file goes",
        "index/commit",
        '            await self._tables.commit("dicom", operations)\n        except (PreconditionFailed, Ambiguous):\n'
        "            return False\n        result.outcomes |= dict.fromkeys((entry.identifier for entry in entries), "
        "CommitOutcome.ALREADY_STORED)",
        "            pass\n        except (PreconditionFailed, Ambiguous):\n"
        "            return False\n        result.outcomes |= dict.fromkeys((entry.identifier for entry in entries), "
        "CommitOutcome.ALREADY_STORED)",
    ),
    Omission(
        "an older upload does not replace a newer one",
        "index/commit",
        "return not entry.replace or (entry.upload_id or keys.upload_id_of(entry.blob)) <= state.upload_id",
        "return not entry.replace",
    ),
    Omission(
        "versions of an instance increase",
        "index/commit",
        "self._clock.next(state.version if state else 0)",
        "self._clock.next(0)",
    ),
    Omission(
        "a tombstone has a later version than what it ends",
        "index/deletion",
        "self._clock.next(state.version)",
        "self._clock.next(0)",
    ),
    Omission(
        "an instance row is replaced only as it was read",
        "index/instance_rows",
        'return Operation("replace", partition_key, row_key, properties, etag)',
        'return Operation("replace", partition_key, row_key, properties)',
    ),
    Omission(
        "an instance is deleted only as it was read",
        "index/deletion",
        'Operation("replace", partition_key, row.row_key, tombstone, row.etag),',
        'Operation("replace", partition_key, row.row_key, tombstone),',
    ),
    Omission(
        "an unanswered delete is counted once it is seen to have happened",
        "index/deletion",
        "ours = sum(",
        "ours = 0 * sum(",
    ),
    Omission(
        "a summary is replaced only as it was read",
        "index/fold",
        'return Operation("replace", partition_key, row_key, properties, present.etag)',
        'return Operation("replace", partition_key, row_key, properties)',
    ),
    Omission(
        "postings are written before the summary that implies them",
        "index/fold",
        'post(self._tables, place, "idx", added), post(self._tables, place, "idxi", fold.instance_postings())',
        'post(self._tables, place, "idx", {}), post(self._tables, place, "idxi", fold.instance_postings())',
    ),
    Omission(
        "a folded change waits for the feed",
        "index/fold",
        "operations += [_folded(place.partition_key, change) for change in changes]",
        "pass",
    ),
    Omission(
        "values that lost are cleaned up, too",
        "index/fold",
        "obsolete = before | self._passed_over()",
        "obsolete = before",
    ),
    Omission(
        "an emptied series goes",
        "index/fold",
        "        self._emptied = {",
        "        self._emptied = set() and {",
    ),
    Omission(
        "what a deleted instance brought is taken back",
        "index/fold",
        "        await restore_lost(self._tables, place, new)\n",
        "",
    ),
    Omission(
        "a delete answers when what it took back is found as before",
        "index/deletion",
        "            await settle_deletion(self._tables, self._folder, place)\n",
        "            pass\n",
    ),
    Omission(
        "readers take back what a pending deletion takes back",
        "index/lookup",
        "        await restore_lost(self._tables, place, tally)\n",
        "",
    ),
    Omission(
        "readers count pending changes",
        "index/study_rows",
        "        for change in self.pending:\n            tally.apply(change)\n",
        "",
    ),
    Omission(
        "a study in several pages is read as of one moment",
        "index/study_rows",
        "if len(pages) == 1 or await _is_unchanged(tables, place, rows):",
        "if True:",
    ),
    Omission(
        "changes without an anchor get one",
        "index/fold",
        "return await self._recreate_anchor(place)",
        "return False",
    ),
    Omission("the latest value wins", "index/summary", "return change_id > present[1]", "return True"),
    Omission(
        "an empty PatientID never wins",
        "index/summary",
        'if (text == "") != (present[0] == ""):',
        "if False:",
    ),
    Omission(
        "the last store decides the expiry, deleted or not",
        "index/summary",
        "if key != EXPIRES and self.deletions",
        "if self.deletions",
    ),
    Omission(
        "a stale posting is removed only as it was read",
        "upkeep/stale_postings",
        'Operation("delete", posting.partition_key, posting.row_key, etag=posting.etag)',
        'Operation("delete", posting.partition_key, posting.row_key)',
    ),
    Omission(
        "nothing is unposted while changes are pending",
        "upkeep/stale_postings",
        "        if rows.pending:\n            return None\n",
        "",
    ),
    Omission(
        "what the summary implies is not unposted",
        "upkeep/stale_postings",
        "return [posting for posting in postings if posting.row_key not in implied]\n\n    async def _stale_instances",
        "return list(postings)\n\n    async def _stale_instances",
    ),
    Omission(
        "the postings of live instances stay",
        "upkeep/stale_postings",
        "implied = {row_key for instance in live for",
        "implied = {row_key for instance in live[:0] for",
    ),
    Omission(
        "a page is appended only after the head that was read",
        "change_log/log",
        "head.properties(next=last + 1, ts=page.timestamp), head.etag)",
        "head.properties(next=last + 1, ts=page.timestamp))",
    ),
    Omission(
        "the last page is acknowledged before the next is read for",
        "change_log/sequencer",
        "await self._acknowledge(page.changes if page else ())",
        "pass",
    ),
    Omission(
        "a sequencer that saw a bucket filled looks again",
        "change_log/log",
        "return self.first < self.next != self.acknowledged + 1",
        "return False",
    ),
    Omission(
        "timestamps increase whatever the clocks say",
        "change_log/log",
        "earliest = max(head.timestamp + 1, head.floor)",
        "earliest = max(0, head.floor)",
    ),
    Omission(
        "no page comes before the end of a window that was read",
        "change_log/log",
        "earliest = max(head.timestamp + 1, head.floor)",
        "earliest = head.timestamp + 1",
    ),
    Omission(
        "a window is final before it is read",
        "change_log/reader",
        "        await self._log.fence(",
        "        await asyncio.sleep(0) if True else await self._log.fence(",
    ),
    Omission(
        "a reader does not leave a bucket before its last page",
        "change_log/log",
        "                if head.next <= sequence:\n                    bucket = self._follow(head)\n",
        "                bucket = self._follow(head)\n",
    ),
    Omission(
        "rows of a second page wait for the next cycle",
        "change_log/sequencer",
        "        if folded.next_row_key is not None:\n            return folded.entities, False\n",
        "",
    ),
    Omission(
        "folded changes are read after pending ones",
        "change_log/sequencer",
        "        return [*pending, *folded.entities], False",
        "        return pending, False",
    ),
    Omission(
        "changes of two studies may share an id",
        "change_log/sequencer",
        "found.changes[change.id, place.partition_key] = change",
        'found.changes[change.id, ""] = change',
    ),
    Omission(
        "a hint that was given again is not dropped",
        "index/hints",
        'Operation("delete", partition_key, row_key, etag=hint.etag)',
        'Operation("delete", partition_key, row_key)',
    ),
    Omission(
        "a hint is kept for two minutes",
        "index/hints",
        "return self._clock.now() - hint.written > STALE_SECONDS",
        "return True",
    ),
    Omission(
        "a hint stays while something is unfinished",
        "change_log/sequencer",
        "(found.busy if rows else found.idle).append(place)",
        "found.idle.append(place)",
    ),
    Omission(
        "an emptied study is removed",
        "upkeep/cleanup",
        "            if not all(done) or not await self.reap(place):\n",
        "            if True:\n",
    ),
    Omission(
        "a study is not removed while changes are pending",
        "upkeep/cleanup",
        "if not (rows.anchor and rows.summary) or rows.pending or rows.tally().study.count:",
        "if not (rows.anchor and rows.summary) or rows.tally().study.count:",
    ),
    Omission(
        "a file in use is not erased",
        "upkeep/erasure",
        '        if instance and instance.properties["live"] and instance.properties["blob"] == obsolete.blob:\n'
        "            return True  # in use: a file is erased only when no instance names it\n",
        "",
    ),
    Omission(
        "files are kept for their retention",
        "upkeep/erasure",
        "due_ms = milliseconds(obsolete.version) + self._retention_ms",
        "due_ms = milliseconds(obsolete.version)",
    ),
    Omission(
        "tombstones are kept for two days",
        "upkeep/erasure",
        "if now_ms < purge_ms or await self._is_needed(place, obsolete):",
        "if await self._is_needed(place, obsolete):",
    ),
    Omission(
        "a tombstone stays while something of its instance is unfinished",
        "upkeep/erasure",
        "if now_ms < purge_ms or await self._is_needed(place, obsolete):",
        "if now_ms < purge_ms:",
    ),
    Omission(
        "a tombstone is purged only as it was read",
        "upkeep/erasure",
        'gone = Operation("delete", place.partition_key, tombstone.row_key, etag=tombstone.etag)',
        'gone = Operation("delete", place.partition_key, tombstone.row_key)',
    ),
    Omission(
        "overdue work is looked for in the hours before",
        "index/due_work",
        "_LATE_HOURS = 2",
        "_LATE_HOURS = -1",
    ),
    Omission(
        "work that is overdue when it is noted is due now",
        "index/due_work",
        "due_ms = max(due_ms, now_ms)",
        "due_ms = max(due_ms, 0)",
    ),
    Omission(
        "an expired study is deleted only as it was read",
        "index/deletion",
        "if await self._commit(place, live, changes, rows.anchor.etag):",
        'if await self._commit(place, live, changes, "*"):',
    ),
    Omission(
        "the expiry is noted before the commit",
        "index/commit",
        "schedule_expiry(self._tables, self._clock, place, batch),",
        "asyncio.sleep(0),",
    ),
    Omission(
        "a suspect posting is removed only some time later",
        "upkeep/scrubber",
        'if self._clock.now() - float(properties["t"]) < _SUSPECT_SECONDS:',
        "if False:",
    ),
    Omission(
        "a suspect posting is removed only as it was seen",
        "upkeep/scrubber",
        '[each for each in found if each.etag == properties["etag"]]',
        "found",
    ),
    Omission(
        "a young file may belong to a request",
        "upkeep/scrubber",
        "if parts and age > _YOUNG_SECONDS:",
        "if parts:",
    ),
    Omission(
        "what came and went in one fold may have been posted by another",
        "index/fold",
        "series_postings(sort_key, study, uid, old) if had or not has else {}",
        "series_postings(sort_key, study, uid, old) if had else {}",
    ),
    Omission(
        "what a data store refuses for a moment is tried again",
        "storage/optimistic",
        "for seconds in PAUSES:",
        "for seconds in PAUSES[:0]:",
    ),
    Omission(
        "what is committed but not visible is not answered as stored",
        "index/instances",
        "outcomes |= dict.fromkeys(hidden, CommitOutcome.UNAVAILABLE)",
        "pass",
    ),
    Omission(
        "many pending changes are folded",
        "index/read_your_writes",
        "crowded = len(seen.pending) > _MANY_PENDING and spare_folds > 0",
        "crowded = False",
    ),
    Omission(
        "of a repeated instance the first one counts",
        "index/instances",
        "[replace(entry, replace=False) for entry in repeated]",
        "repeated",
    ),
)
