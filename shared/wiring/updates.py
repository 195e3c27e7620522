"""Settings → what changes stored studies (azure-apis §3, §6; data-safety §8): tags, bulk update, patient merge."""

from shared.bulk_update import functions as bulk_update
from shared.bulk_update.transaction import BulkUpdate
from shared.extended_query_tags import functions as extended_query_tags
from shared.extended_query_tags.removal import TagRemoval
from shared.extended_query_tags.transaction import ExtendedQueryTags
from shared.housekeeping import chores
from shared.index.indexing_errors import IndexingErrors
from shared.ingest.ingest import Ingest
from shared.operations.model import OperationType
from shared.patient_merge import functions as patient_merge
from shared.patient_merge.transaction import PatientMerge
from shared.patient_merge.work import MoveWork
from shared.shares.store import ShareStore
from shared.study_updates.operation import Update
from shared.study_updates.patients import PatientStudies
from shared.study_updates.study_update import Stores
from shared.upkeep.reindex import Reindex
from shared.upkeep.study_reindex import StudyReindex
from shared.wiring.core import Core
from shared.wiring.part import Part
from shared.workitems.store import Workitems


def tags(core: Core) -> Part:
    """Extended query tags, and the re-index that they and later schemas start."""
    settings, base = core.settings, core.base
    tables, schemas, partitions, clock = base.tables, base.schemas, base.partitions, base.clock
    shards = settings.index_shards
    reindex = Reindex(
        tables,
        schemas,
        partitions,
        StudyReindex(tables, base.blobs, clock, schemas, core.index.hints),
        core.index.hints,
        shards=shards,
        catch_up=core.feed.sequencer.catch_up,
        foreground=core.foreground,
    )
    transaction = ExtendedQueryTags(
        schemas,
        core.operations,
        IndexingErrors(tables),
        partitions,
        clock.now,
        most_tags=settings.extended_query_tags,
        operations_enabled=settings.asynchronous_operations,
    )
    return Part(
        functions=(extended_query_tags.blueprint(core.boundary, transaction),),
        chores=(chores.purge_tags(TagRemoval(tables, schemas, partitions, clock.now, shards=shards).run),),
        work={OperationType.REINDEX: reindex},
    )


def updates(core: Core, ingest: Ingest) -> Part:
    """New versions of studies: bulk update, patient merge, study move."""
    settings, base = core.settings, core.base
    enabled = settings.asynchronous_operations
    update = Update(
        Stores(base.blobs, core.index, core.lookup, ingest.entry_of),
        base.partitions,
        shards=settings.index_shards,
        metadata_inline=settings.metadata_inline,
        foreground=core.foreground,
    )
    patients = PatientStudies(base.tables, base.blobs, core.lookup, shards=settings.index_shards)
    workitems = Workitems(base.tables, base.clock.now)
    merge = PatientMerge(core.operations, patients, workitems, base.clock.now, enabled=enabled)
    return Part(
        functions=(
            bulk_update.blueprint(core.boundary, BulkUpdate(core.operations, enabled=enabled)),
            patient_merge.blueprint(core.boundary, merge),
        ),
        work={
            **dict.fromkeys((OperationType.UPDATE, OperationType.MERGE), update),
            OperationType.MOVE: MoveWork(update, ShareStore(base.tables).end_with),
        },
    )
