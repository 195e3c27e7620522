"""Labels of studies on stores in memory."""

from typing import Any

from shared.index_schema import keys
from shared.index_schema.keys import StudyPlace
from shared.index_schema.labels import CODE
from shared.index_schema.service_documents import parse_study_document
from shared.study_documents.labels import StudyLabels
from shared.study_labels.request import LabelChange
from tests.builders.images import Image, image
from tests.builders.rebuilding import LosableService
from tests.builders.service import PARTITION, SHARDS
from tests.fakes.tables import MemoryTableStore


def place_of(study: str) -> StudyPlace:
    """The place of a study in the default partition."""
    return keys.study_place(PARTITION.namespace, study, SHARDS)


class LabellingService(LosableService):
    """A process that labels studies."""

    def __init__(self, *stores: Any, **options: Any) -> None:
        super().__init__(*stores, **options)
        self.labels = StudyLabels(self.tables, self.blobs)

    def on(self, tables: MemoryTableStore) -> "LabellingService":
        """Another process, on these tables and the same files."""
        return LabellingService(tables, self.blobs, self.time, data_partitions=self.data_partitions)

    async def study(self, *labels: str, **attributes: Any) -> Image:
        """A stored study with these labels."""
        one = image(frames=0, **attributes)
        outcome = await self.store_one(one.data)
        assert outcome.failure is None
        self.time.seconds += 1
        if labels:
            await self.label(one, *labels)
        return one

    async def label(self, one: Image, *add: str, remove: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Add and remove labels of the study of an image."""
        return await self.labels.change(place_of(one.identifier.study_instance_uid), LabelChange(add, remove))

    async def labels_of(self, one: Image) -> tuple[str, ...] | None:
        """The labels of the study of an image, as readers see them; None if it is not there."""
        view = await self.lookup.study(PARTITION, one.identifier.study_instance_uid)
        return None if view is None else view.labels

    async def found(self, query: str, level: str = "studies") -> set[str]:
        """The studies of what a search finds."""
        status, results = await self.answer(f"search_{level}", f"/v2/{level}?{query}")
        assert status in {200, 204}, (status, query)
        return {each["0020000D"]["Value"][0] for each in results} if status == 200 else set()

    def postings(self, one: Image) -> set[str]:
        """The labels under which the study of an image is listed, as keys have them."""
        study = one.identifier.study_instance_uid
        return {
            row.row_key.split("!")[1]
            for row in self.tables.rows("idx")
            if row.row_key.startswith(f"{CODE}!") and row.properties["study"] == study
        }

    def documents(self, one: Image) -> list[str]:
        """The names of the documents beside the study of an image."""
        study = one.identifier.study_instance_uid
        found = ((name, parse_study_document(name)) for name in self.blobs.names())
        return [name for name, parts in found if parts and parts.study_instance_uid == study]
