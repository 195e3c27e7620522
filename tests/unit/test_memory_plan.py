"""The sum of all that a process may take at a time is in one place, and nothing that takes memory is missing there."""

import ast
import logging
import re
from pathlib import Path

import pytest

from shared import memory_plan
from shared.dicom.part10 import limits
from shared.dicomweb import json_model
from shared.ingest import parsing, part10_upload, store_batch
from shared.memory_plan import MIB
from shared.retrieve import snapshot
from shared.retrieve.pixel_pool import PixelPool
from shared.wiring.core import tell_memory
from tests.unit.test_settings import AZURE, read

ROOT = Path(__file__).parents[2]
SEMAPHORES = {
    # at a time, whatever is held counted elsewhere or some rows: no memory to speak of
    "shared/administration/tables.py": "rows",
    "shared/change_feed/transaction.py": "rows",
    "shared/change_log/finishing.py": "rows",
    "shared/change_log/sequencer.py": "rows",
    "shared/cast/sweeping.py": "rows",
    "shared/cohorts/export/copies.py": "copies that storage makes",
    "shared/cohorts/feedback/cases.py": "rows",
    "shared/index/instances.py": "batches of 4 MiB",
    "shared/index/lookup.py": "pages of rows",
    "shared/ingest/rebuild.py": "the values of files, in ARRIVING and ODD",
    "shared/patient_erasure/trash.py": "names",
    "shared/search/reads.py": "pages of rows",
    "shared/shares/present.py": "rows",
    "shared/shares/transaction.py": "rows",
    "shared/storage/blob_ranges.py": "ranges of 8 MiB, of frames that are counted in PIXELS or sent",
    "shared/storage/transport.py": "connections",
    "shared/study_labels/functions.py": "rows",
    "shared/study_updates/patients.py": "rows",
    "shared/upkeep/stale_postings.py": "rows",
    "shared/workitems/retention.py": "rows",
    "shared/worklist_rules/selection.py": "rows",
    "shared/worklist_rules/work.py": "rows",
    # bytes of files, in the plan
    "shared/ingest/store_batch.py": "REQUEST: two uploads of 8 MiB",
    "shared/retrieve/snapshot.py": "WHOLE_FILES",
    # bytes of files, of functions that no request starts: they have instances of their own, without bodies
    "shared/bulk_import/transaction.py": "large files, 40 MiB each",
    "shared/export/copying.py": "files that pass in blocks",
    "shared/export/deidentified.py": "files of 4 MiB, one large one; its values in ARRIVING and ODD",
    "shared/ingest/ingest.py": "the values of files, in ARRIVING and ODD",
    "shared/study_updates/new_version.py": "one large file",
    "shared/study_updates/study_update.py": "heads of 256 KiB",
}
"""Every semaphore of the service by its file, and what each of its places holds."""


def calls(name):
    """The calls of a constructor in the service: (file, first argument as it is written)."""
    for path in sorted((ROOT / "shared").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if f"{name}(" in text else ():
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called == name:
                yield str(path.relative_to(ROOT)), ast.unparse(node.args[0]) if node.args else ""


def test_every_budget_of_a_process_has_its_size_from_the_plan():
    sizes = [size for _, size in calls("MemoryBudget")]
    named = {f"memory_plan.{name}" for name in (*memory_plan.STORING, *memory_plan.READING)}
    pool = "memory"  # of PixelPool, whose default is the plan's and whose setting the start checks
    # the first file may take what one file may have, without a reservation; whole files are two at a time
    assert sorted(sizes) == sorted(
        (named - {f"memory_plan.{each}" for each in ("FIRST_ARRIVING", "PIXELS", "WHOLE_FILES")}) | {pool}
    )
    assert PixelPool().memory == memory_plan.PIXELS


def test_nothing_else_bounds_memory_by_counting():
    assert {path for name in ("Semaphore", "BoundedSemaphore") for path, _ in calls(name)} == set(SEMAPHORES)


def test_one_file_takes_what_the_plan_has_for_it():
    assert limits.HEADER_BYTES == memory_plan.FIRST_ARRIVING
    assert snapshot.WHOLE * snapshot._WHOLE_AT_A_TIME <= memory_plan.WHOLE_FILES
    assert part10_upload.HELD_BYTES_UNREADABLE - part10_upload.HELD_BYTES <= memory_plan.HELD
    assert part10_upload.HELD_BYTES + 2 * store_batch._STAGING * 4 * MIB <= memory_plan.REQUEST
    assert parsing._most_needed(part10_upload.HELD_BYTES_UNREADABLE) <= memory_plan.ODD
    documents = (4 * json_model.LARGEST_PLAIN, 7 * json_model.LARGEST_DOCUMENT, 13 * json_model.LARGEST_WIDE)
    assert max(documents) <= memory_plan.CONVERTED
    assert store_batch.HELD_BYTES + store_batch._HELD_DOCUMENTS <= memory_plan.STAGED
    assert (
        max(memory_plan.FIRST_ARRIVING, memory_plan.DOCUMENTS, memory_plan.LARGEST_STORE) == memory_plan.LARGEST_STORE
    )


@pytest.mark.spec("P-4")
@pytest.mark.parametrize(
    ("memory", "requests", "most"),
    [(4096, 6, 4068), (4096, 7, 4500), (2048, 2, 1992), (2048, 3, 2732)],
)
def test_the_sum_of_all_is_what_the_documents_say(memory, requests, most):
    assert memory_plan.needed(requests, 100 * MIB) == most * MIB
    assert (most <= memory) == (requests in {2, 6})


def test_the_documents_have_the_numbers_of_the_plan():
    page = (ROOT / "docs" / "operate" / "limits.md").read_text(encoding="utf-8")
    plan = {**memory_plan.STORING, **memory_plan.READING, "IDLE": memory_plan.IDLE, "REQUEST": memory_plan.REQUEST}
    for name, size in plan.items():
        assert f"| {size // MIB} MiB | `shared.memory_plan:{name}` |" in page, name


@pytest.mark.parametrize("requests", [1, 2, 3, 5, 8, 16, 40])
@pytest.mark.parametrize("body", [1, 10, 60, 100, 200])
def test_the_template_sums_as_the_service_does(requests, body):
    text = (ROOT / "infra" / "main.bicep").read_text(encoding="utf-8")
    scope = {
        "httpConcurrency": requests,
        "maxRequestMiB": body,
        "min": min,
        "max": max,
        "map": lambda items, how: [how(each) for each in items],
    }
    names = ("bodyCost", "idleMemoryMB", "pixelMemoryMB", "storingRequests", "workMemoryMB", "neededMemoryMB")
    for name in names:
        [written] = re.findall(rf"^var {name} = (.+)$", text, re.MULTILINE)
        scope[name] = eval(re.sub(r"(\w+) => ", r"lambda \1: ", written), scope)  # noqa: S307 - our own template
    assert scope["neededMemoryMB"] == memory_plan.needed(requests, body * MIB) // MIB


@pytest.mark.spec("P-4")
@pytest.mark.parametrize(("requests", "says"), [(6, False), (8, True)])
def test_a_start_says_where_the_memory_may_not_suffice(requests, says, caplog):
    caplog.set_level(logging.INFO)
    tell_memory(read(AZURE, INSTANCE_MEMORY_MB="4096", HTTP_CONCURRENCY=str(requests)))
    assert any("memory-may-not-suffice" in record.getMessage() for record in caplog.records) == says
