"""Which postings the folded rows of a study imply (storage §5, storage §8). Pure.

Two answers, because a re-index that is under way, or a writer that has heard of a schema earlier than others, is ahead
of the numbers of the rows: what must be there goes as far as the schema of each row; what may be there goes as far as
the schema is known.
"""

from dataclasses import dataclass

from shared.index.postings import Postings
from shared.index.schema import IndexSchema
from shared.index.summary import Summary, Tally


@dataclass(frozen=True, slots=True)
class ImpliedPostings:
    """The study- and series-level postings of one study."""

    schema: IndexSchema
    study: str
    sort_key: str

    def required(self, tally: Tally) -> Postings:
        """What must be there."""
        rows = self.required_by_study(tally.study)
        for uid, summary in tally.series.items():
            rows |= self.required_by_series(uid, summary)
        return rows

    def allowed(self, tally: Tally) -> Postings:
        """What may be there: the rest is stale."""
        rows = self.allowed_by_study(tally.study)
        for uid, summary in tally.series.items():
            rows |= self.allowed_by_series(uid, summary)
        return rows

    def required_by_study(self, summary: Summary) -> Postings:
        """The same of the summary of the study alone."""
        return self._of_study(self.schema.upto(summary.schema), summary)

    def allowed_by_study(self, summary: Summary) -> Postings:
        """The same of the summary of the study alone; both rows of the list of all studies, if they differ."""
        return self._of_study(self.schema, summary) | self.required_by_study(summary)

    def required_by_series(self, uid: str, summary: Summary) -> Postings:
        """The same of one series."""
        schema = self.schema.upto(summary.schema)
        return schema.series_postings(self.sort_key, self.study, uid, summary.plain())

    def allowed_by_series(self, uid: str, summary: Summary) -> Postings:
        """The same of one series."""
        return self.schema.series_postings(self.sort_key, self.study, uid, summary.plain())

    def _of_study(self, schema: IndexSchema, summary: Summary) -> Postings:
        return schema.study_postings(self.sort_key, self.study, summary.plain(), summary.schema)
