"""Study lists of stores that have them."""

from shared.index.covering_rows import CoveringRows
from shared.storage.ports import TableStore


async def kept() -> bool:
    """As StoreSettingsRow tells it of a store of the present format."""
    return True


def covering(tables: TableStore) -> CoveringRows:
    """The writer of the study lists of such a store."""
    return CoveringRows(tables, kept)
