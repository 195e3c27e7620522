"""Extents of lists that are worth reading, as their first pages tell (storage §6.3). Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.index_search.limits import SearchLimits


@dataclass(frozen=True, slots=True)
class Extent:
    """The extent of a list, as its first page tells."""

    rows: int
    complete: bool
    """Whether these are all rows."""
    density: float
    """Rows per millisecond of the time at which what they are about was created."""

    @staticmethod
    def of_all(extents: Sequence["Extent"]) -> "Extent":
        """Of several lists taken together."""
        return Extent(
            sum(extent.rows for extent in extents),
            all(extent.complete for extent in extents),
            sum(extent.density for extent in extents),
        )


def smallest(extents: Sequence[Extent], limits: SearchLimits) -> int | None:
    """The source with the fewest rows, if they are few."""
    complete = [(extent.rows, position) for position, extent in enumerate(extents) if extent.complete]
    rows, position = min(complete, default=(limits.few + 1, None))
    return position if rows <= limits.few else None


def to_merge(extents: Sequence[Extent], need: int, shards: int, limits: SearchLimits) -> list[int]:
    """The sources to merge, sparsest first, if `need` results are wanted.

    A list that is dense beside the candidates of the sparsest source is left out: reading past its rows would cost more
    than reading the candidates.
    """
    order = sorted(range(len(extents)), key=lambda position: extents[position].density)
    sparsest = extents[order[0]]
    candidates = min(4 * need, sparsest.rows) if sparsest.complete else 4 * need
    window = candidates / (sparsest.density or 1)
    return [
        position
        for position in order
        if position == order[0]
        or extents[position].complete
        or extents[position].density * window / shards <= limits.rows_beside
    ]


def judges_by_list(sparsest: Extent, everything: Extent, limits: SearchLimits) -> bool:
    """Whether candidates are judged by the list of everything first: cheap while few others stand between them."""
    return everything.complete or everything.density <= limits.rows_per_judgement * sparsest.density
