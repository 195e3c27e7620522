"""The bounds of a search's reads, by their kinds (storage §6)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SearchLimits:
    """Numbers that decide what a search costs, never what it finds; `bounded_…` excepted (S-5)."""

    bounded_rows: int = 50_000
    """Rows that a search may read when no index serves one of its keys."""
    bounded_seconds: float = 3.0
    """Time that such a search may take."""
    few: int = 300
    """So many studies are read and judged by their own rows rather than found by merging lists."""
    sorted_rows: int = 5000
    """So many rows are read to sort series and instances over all studies."""
    smallest_page: int = 64
    """Rows of the first page of a list; later pages double."""
    largest_page: int = 1000
    distinct_values: int = 64
    """Most values of a range whose lists are read side by side."""
    rows_beside: int = 1000
    """Rows of a list that may lie beside the candidates in a shard before it is left out of a merge."""
    rows_per_judgement: int = 30
    """Rows of the list of all studies that may be passed over to judge one candidate by it."""
    wasted_reads: int = 500
    """Candidates that turn out not to match before all lists are merged."""
    verified_skips: int = 500
    """Results that a page skips are verified up to here; beyond it they are not, where postings alone say what matches.
    """
    point_reads: int = 20
    """Instances of a study that are read one by one when the query names them."""


DEFAULT_LIMITS = SearchLimits()
