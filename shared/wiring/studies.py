"""Settings → the Studies Service (PS3.18 §10): store, retrieve, search, delete, and the import of many files."""

import time
from functools import partial

from shared.bulk_import import functions as bulk_import
from shared.bulk_import.transaction import Archive, BulkImport, ImportRules, Inbox
from shared.delete import functions as delete
from shared.housekeeping import chores
from shared.index_schema.study_lists import StudyOrder
from shared.ingest import functions as ingest_functions
from shared.ingest.ingest import Ingest
from shared.ingest.ingest_settings import IngestSettings
from shared.retrieve import functions as retrieve
from shared.retrieve.pixel_pool import PixelPool
from shared.retrieve.snapshot import Backend
from shared.search import functions as search
from shared.store import functions as store
from shared.study_documents.labels import StudyLabels
from shared.study_labels import functions as study_labels
from shared.upkeep.scrubber import Scrubber
from shared.wiring.core import Core
from shared.wiring.part import NOTHING, Part
from shared.wiring.stores import import_stores


def ingest(core: Core) -> Ingest:
    """The ingest, which takes files in."""
    settings, base = core.settings, core.base
    rules = IngestSettings.of(settings)
    is_active = core.operations.is_active
    return Ingest(base.blobs, core.index, core.lookup, base.partitions, rules=rules, now=time.time, is_active=is_active)


def studies(core: Core, ingest: Ingest) -> Part:
    """The transactions on studies, series and instances, and what keeps files and index in step."""
    settings, base, boundary = core.settings, core.base, core.boundary
    scrubber = Scrubber(
        base.tables,
        base.blobs,
        base.clock,
        base.partitions,
        ingest.ensure,
        schemas=base.schemas,
        shards=settings.index_shards,
    )
    pixels = PixelPool(settings.transcode_memory_bytes, settings.max_transcode_bytes)
    return Part(
        functions=(
            store.blueprint(boundary, ingest),
            retrieve.blueprint(
                boundary, Backend(core.lookup, base.blobs, pixels), core.documents, zip_names=settings.zip_names
            ),
            search.blueprint(
                boundary,
                base.tables,
                core.lookup,
                base.blobs,
                settings.index_shards,
                study_lists=base.row.has_study_lists,
                schemas=base.schemas,
                character_set_as_stored=core.documents.character_set_as_stored,
                study_order=StudyOrder(settings.study_order),
            ),
            delete.blueprint(boundary, core.index),
            study_labels.blueprint(
                boundary,
                StudyLabels(base.tables, base.blobs),
                core.lookup,
                base.tables,
                shards=settings.index_shards,
            ),
            ingest_functions.blueprint(ingest, settings.container),
        ),
        chores=(
            chores.expire_studies(core.index.expire),
            chores.erase_deleted(partial(core.trash.erase_due, base.blobs)),
            chores.scrub_store(scrubber.run),
        ),
    )


def imports(core: Core, ingest: Ingest) -> Part:
    """The import from a container (IMP-1); nothing where it is switched off."""
    settings, base = core.settings, core.base
    if not settings.bulk_import:
        return NOTHING
    inbox = import_stores(settings, core.identity)
    transaction = BulkImport(
        Inbox(inbox.files, inbox.queues, inbox.places),
        Archive(ingest, core.lookup, base.blobs, base.partitions),
        ImportRules(settings.data_partitions, settings.max_file_bytes),
        audit=core.audit(),
        now=time.time,
    )
    return Part(
        functions=(bulk_import.blueprint(transaction, inbox.places, inbox.connection_setting),),
        chores=(chores.sweep_imports(transaction.sweep),),
    )
