"""The postings that the folded rows of a study imply (storage §5, storage §8). Pure.

Two answers, because a re-index that is under way, or a writer that has heard of a schema earlier than others, is ahead
of the numbers of the rows: what must be there goes as far as the schema of each row; what may be there goes as far as
the schema is known.
"""

from dataclasses import dataclass

from shared.index.summary import Summary, Tally
from shared.index_schema.postings import Postings
from shared.index_schema.schema import IndexSchema


@dataclass(frozen=True, slots=True)
class ImpliedPostings:
    """The study- and series-level postings of one study."""

    schema: IndexSchema
    study: str
    sort_key: str

    def required(self, tally: Tally) -> Postings:
        """The postings that must be there."""
        return self._of_all(tally)[0]

    def allowed(self, tally: Tally) -> Postings:
        """The postings that may be there: the rest is stale."""
        return self._of_all(tally)[1]

    def of_study(self, summary: Summary) -> tuple[Postings, Postings]:
        """The postings that must and may be there by the summary of the study: both rows of list `a` if they differ."""
        by = self.schema.upto(summary.schema)
        required = by.study_postings(self.sort_key, self.study, summary.plain(), summary.schema)
        if by is self.schema:
            return required, required
        return required, self.schema.study_postings(
            self.sort_key, self.study, summary.plain(), summary.schema
        ) | required

    def of_series(self, uid: str, summary: Summary) -> tuple[Postings, Postings]:
        """The same by the row of a series."""
        by = self.schema.upto(summary.schema)
        required = by.series_postings(self.sort_key, self.study, uid, summary.plain())
        if by is self.schema:
            return required, required
        return required, self.schema.series_postings(self.sort_key, self.study, uid, summary.plain())

    def _of_all(self, tally: Tally) -> tuple[Postings, Postings]:
        pairs = [self.of_study(tally.study), *(self.of_series(uid, each) for uid, each in tally.series.items())]
        required: Postings = {}
        allowed: Postings = {}
        for must, may in pairs:
            required |= must
            allowed |= may
        return required, allowed
