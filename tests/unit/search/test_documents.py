"""Searches that need long metadata documents: the answers are those of short ones, the memory is bounded."""

import pytest

from shared.errors import TooLarge
from shared.index import documents as stored
from shared.memory_budget import Lease, MemoryBudget
from shared.search import documents
from shared.search.transaction import search
from tests.builders.archive import Archive

FIELDS = (
    "Rows",
    "Rows,TextValue",
    "RequestAttributesSequence.RequestedProcedureID",
    "RequestAttributesSequence",
    "all",
)
REQUESTS = [{"RequestedProcedureID": "R1", "ScheduledProcedureStepID": "S1"}, {"RequestedProcedureID": "R2"}]


async def long_ones(count: int = 3) -> Archive:
    """Instances of one series whose documents are of some thousand bytes."""
    archive = Archive(shards=2)
    for number in range(count):
        values = {"Rows": number, "TextValue": "x" * 5000, "RequestAttributesSequence": REQUESTS}
        await archive.store("1.1", "1.1.1", f"1.1.1.{number}", PatientID="P", **values)
    return archive


@pytest.mark.spec("QIDO-34", "STOW-46")
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("resource", ["search_studies", "search_series", "search_instances"])
async def test_the_length_of_a_document_changes_no_result(field, resource, monkeypatch):
    monkeypatch.setattr(stored, "_LARGEST_INLINE", 4000)  # so that they are beside their files
    monkeypatch.setattr(stored, "INLINE_METADATA", 4000)
    archive = await long_ones()
    query = f"PatientID=P&includefield={field}"
    whole = await archive.found(query, resource)
    assert whole
    for limits in ({"_WHOLE": 0}, {"_WHOLE": 0, "_TOGETHER": 0}):
        for name, value in limits.items():
            monkeypatch.setattr(documents, name, value)
        assert await archive.found(query, resource) == whole


@pytest.mark.spec("QIDO-45", "STOW-46")
async def test_what_is_kept_of_documents_is_bounded_and_memory_is_given_back(monkeypatch):
    monkeypatch.setattr(stored, "_LARGEST_INLINE", 4000)
    monkeypatch.setattr(stored, "INLINE_METADATA", 4000)
    archive = await long_ones(6)
    for name, value in {"_WHOLE": 0, "_TOGETHER": 1000, "_MOST": 20_000}.items():
        monkeypatch.setattr(documents, name, value)
    budget = MemoryBudget(100_000, "busy")
    for field, fits in (("Rows", True), ("TextValue", False)):
        lease = Lease(budget)
        query = archive.query(f"PatientID=P&includefield={field}", "search_instances")
        if fits:
            page = await search(archive.ports(), archive.partition, query, lease)
            assert max(len(result.metadata) for result in page.results) < 1000
        else:
            with pytest.raises(TooLarge, match="larger than 20000 bytes"):
                await search(archive.ports(), archive.partition, query, lease)
        lease.shrink()
        assert budget.free == budget.size
