"""Storage fails at each request of a transaction, once or from there on, and the service lives.

A client is told so by 503, or by reason 272, sees nothing that is half there, and succeeds when it tries again.
"""

from collections.abc import Iterable
from typing import Final

import pytest

from tests.integration.crashes.archive import DICOM, JSON, Reply, new_files, patient_of
from tests.integration.crashes.proxy import Fault
from tests.integration.crashes.service import Watched, check_after_restart, watched
from tests.integration.crashes.transactions import TRANSACTIONS, Attempt

_MOST_STEPS: Final = 100
_PROCESSING_FAILURE: Final = 272


def check_answer(reply: Reply) -> None:
    """A client is told what is true, and nothing of the storage."""
    if reply.status in {202, 409}:
        assert set(reply.reasons) == {_PROCESSING_FAILURE}
    else:
        assert reply.status in {200, 204, 503}, reply
    if reply.status == 503:
        assert b"Please retry" in reply.content
        assert not any(word in reply.content for word in (b"Table", b"Blob", b"Error", b"Busy "))


async def fail_at_each_step(
    scene: Watched, transaction: str, fault: Fault, *, lasting: bool, every: int
) -> list[Attempt]:
    """Try a transaction, and again without the fault, until it never meets it."""
    [pid] = await scene.workers()
    attempts: list[Attempt] = []
    for step in range(1, _MOST_STEPS, every):
        act = await TRANSACTIONS[transaction](scene.archive)
        point = scene.proxy.arm(fault, step, [pid], lasting=lasting)
        attempt = await act()
        scene.proxy.disarm()
        check_answer(attempt.reply)
        if not attempt.done:
            attempt = (await act()).after(attempt)
            assert attempt.done, (transaction, fault, step, attempt.reply)
        attempts.append(attempt)
        if not point.hit:
            assert step > 3
            return attempts
    raise AssertionError("the transaction never came to an end")


async def fail_in_each(transactions: Iterable[str], faults: Iterable[Fault], *, lasting: bool, every: int = 1) -> None:
    """The same with several transactions and faults; then what was stored is compared."""
    async with watched() as scene:
        attempts = [
            attempt
            for transaction in transactions
            for fault in faults
            for attempt in await fail_at_each_step(scene, transaction, fault, lasting=lasting, every=every)
        ]
        await scene.service.stop()
        await check_after_restart(scene.storage, attempts)


@pytest.mark.spec("STOW-42", "PUT-2", "PUT-3", "DEL-13", "STOW-45", "DEL-9")
async def test_a_transaction_that_meets_one_fault_is_done_or_can_be_repeated():
    await fail_in_each(["store of one", "upsert", "deletion of an instance"], [Fault.LOSE_ANSWER], lasting=False)


@pytest.mark.spec("ERR-4", "STOW-42", "DEL-13")
async def test_a_transaction_in_which_storage_stops_working_is_503_and_can_be_repeated_later():
    # Each attempt is repeated for seconds before it is given up: the nightly run tries the requests in between.
    await fail_in_each(["store of one", "deletion of a study"], [Fault.BUSY], lasting=True, every=3)


@pytest.mark.nightly
@pytest.mark.spec("ERR-4", "STOW-42", "PUT-2", "PUT-3", "DEL-13", "STOW-45", "DEL-9")
@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("fault", Fault)
async def test_any_transaction_survives_any_fault_at_any_request(fault, lasting):
    await fail_in_each(TRANSACTIONS, [fault], lasting=lasting)


@pytest.mark.spec("ERR-4")
@pytest.mark.parametrize("lasting", [False, pytest.param(True, marks=pytest.mark.nightly)])
async def test_a_reader_gets_all_or_an_error_and_never_too_little(lasting):
    files = new_files(3, series=2)
    study = files[0].identifier.study_instance_uid
    everything = f'multipart/related; type="{DICOM}"; transfer-syntax=*'
    reads = {
        files[0].path: f"{DICOM}; transfer-syntax=*",
        f"studies/{study}": everything,
        f"studies/{study}/metadata": JSON,
        f"studies?PatientID={patient_of(study)}&includefield=00201208": JSON,
        f"series?PatientID={patient_of(study)}": JSON,
        f"instances?SOPInstanceUID={files[1].identifier.sop_instance_uid}": JSON,
    }
    async with watched() as scene:
        assert (await scene.archive.store(files)).status == 200
        [pid] = await scene.workers()
        for path, accept in reads.items():
            whole = await scene.archive.send("GET", path, Accept=accept)
            assert whole.status == 200
            for fault in Fault:
                for step in range(1, _MOST_STEPS):
                    point = scene.proxy.arm(fault, step, [pid], lasting=lasting)
                    reply = await scene.archive.send("GET", path, Accept=accept)
                    scene.proxy.disarm()
                    # Status 0: the connection broke in the answer, after its head had been sent.
                    assert reply.status in {200, 500, 503, 0}, (path, fault, step)
                    if reply.status == 200:
                        assert _same(reply, whole)
                    if not point.hit:
                        assert reply.status == 200
                        break


def _same(reply: Reply, whole: Reply) -> bool:
    """Boundaries differ from answer to answer, and the order of parts may."""
    if reply.headers["Content-Type"].startswith("multipart"):
        return len(reply.content) == len(whole.content)
    return reply.content == whole.content
