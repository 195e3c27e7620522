"""The transactions that write, each with what must be true of it whatever happened in between."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from tests.builders.files import File
from tests.builders.images import new_uid
from tests.integration.crashes.archive import Archive, Reply, new_file, new_files, sops
from tests.integration.crashes.stored import Changes

ALREADY_STORED = 45070


@dataclass(frozen=True, slots=True)
class Attempt:
    """A transaction that something may have happened to."""

    study: str
    reply: Reply
    before: list[File] = field(default_factory=list)
    """What was stored, and acknowledged, first."""
    sent: list[File] = field(default_factory=list)
    deleted: list[File] = field(default_factory=list)
    tries: int = 1
    """How often it was sent."""

    @property
    def done(self) -> bool:
        """It was acknowledged; or the answer to a repetition says that it had been done before."""
        status = self.reply.status
        if self.tries > 1 and status == 404:
            return bool(self.deleted)
        if self.tries > 1 and status in {202, 409}:
            return set(self.reply.reasons) == {ALREADY_STORED}
        return status in {200, 204}

    def after(self, earlier: "Attempt") -> "Attempt":
        """The same transaction, sent again."""
        return replace(self, tries=earlier.tries + 1)

    @property
    def files(self) -> list[File]:
        """All versions that could be there."""
        return self.before + self.sent

    def check(self, found: dict[str, File], changes: Changes) -> None:
        """Nothing is lost, doubled or halved, in the instances and in the change feed."""
        for one in self.sent:
            replaced = [old for old in self.before if old.identifier == one.identifier]
            entries = [entry.operation for entry in changes.get(one.identifier, [])]
            now = found.get(one.identifier.sop_instance_uid)
            assert now is one or not self.done
            if now is one:
                assert set(entries) == {"create"}
                most = self.tries if replaced else 1  # an upsert without answer may have been done, and be done again
                assert 1 <= len(entries) - len(replaced) <= most
            else:
                assert now is (replaced[0] if replaced else None)
                assert entries == ["create"] * len(replaced)
        for one in self.before:
            uid = one.identifier.sop_instance_uid
            entries = [entry.operation for entry in changes[one.identifier]]
            if one in self.deleted:
                assert uid not in found or not self.done
                assert entries == (["create"] if uid in found else ["create", "delete"])
            elif uid not in sops(self.sent):
                assert found.get(uid) is one
                assert entries == ["create"]
        if self.deleted:
            there = sops(self.deleted) & set(found)
            assert there in (set(), sops(self.deleted)), "half a deletion"  # DEL-13


type Act = Callable[[], Awaitable[Attempt]]
"""Sends the request. It can be sent again."""
type Transaction = Callable[[Archive], Awaitable[Act]]
"""Stores what is needed first."""


def store_of(count: int) -> Transaction:
    """A store of new instances, in two series if there are several."""

    async def prepare(archive: Archive) -> Act:
        files = new_files(count, series=min(count, 2))

        async def act() -> Attempt:
            return Attempt(files[0].identifier.study_instance_uid, await archive.store(files), sent=files)

        return act

    return prepare


async def upsert(archive: Archive) -> Act:
    """A PUT of an instance that is there."""
    study, series, sop = new_uid(), new_uid(), new_uid()
    old = new_file(study, series, sop, description="Old")
    new = new_file(study, series, sop, description="New")
    assert (await archive.store([old])).status == 200

    async def act() -> Attempt:
        return Attempt(study, await archive.store([new], "PUT"), before=[old], sent=[new])

    return act


def deletion_of(level: str) -> Transaction:
    """A DELETE of a study of three instances, or of one of them."""

    async def prepare(archive: Archive) -> Act:
        files = new_files(3, series=2)
        assert (await archive.store(files)).status == 200
        study = files[0].identifier.study_instance_uid
        path, deleted = (f"studies/{study}", files) if level == "study" else (files[0].path, files[:1])

        async def act() -> Attempt:
            return Attempt(study, await archive.delete(path), before=files, deleted=deleted)

        return act

    return prepare


TRANSACTIONS: dict[str, Transaction] = {
    "store of one": store_of(1),
    "store of ten": store_of(10),
    "upsert": upsert,
    "deletion of an instance": deletion_of("instance"),
    "deletion of a study": deletion_of("study"),
}
