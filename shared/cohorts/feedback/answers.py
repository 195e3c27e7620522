"""The answers to requests about feedback (cohorts §8.6, COH-33 to COH-36)."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from shared.cohorts.feedback import response
from shared.cohorts.feedback.predictions import Page
from shared.cohorts.feedback.request import ModelRequest, ReaderRequest, assessment_of, reader_of
from shared.cohorts.feedback.transaction import Audit, Feedback
from shared.http.json_body import JsonBody
from shared.http.messages import Response
from shared.http.transaction import Context

type AuditPatients = Callable[[str, Mapping[str, str], Iterable[str]], None]
"""Writes an audit record for each patient read: what was asked, claims of the caller, references."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers to requests that have been parsed."""

    feedback: Feedback
    audit: AuditPatients

    async def reader(self, request: ReaderRequest, media_type: str, context: Context) -> Response:
        """The cases of a reader."""
        audit = self._audit(context, "feedback/reader")
        groups, tally, warnings = await self.feedback.cases(request.practitioner, request.since, context.visible, audit)
        pieces = response.case_pieces(groups, tally, media_type, request.practitioner, warnings)
        return response.streamed(media_type, await _begun(pieces))

    async def deliver(self, body: JsonBody, _accepted: str, context: Context) -> Response:
        """How many outcomes a reader has been told of."""
        request = reader_of(await body.read())
        audit = self._audit(context, "feedback/reader/deliver")
        return response.document(
            await self.feedback.deliver(request.practitioner, request.since, context.visible, audit)
        )

    async def assess(self, body: JsonBody, _accepted: str, context: Context) -> Response:
        """The id of an assessment that is kept."""
        given = assessment_of(await body.read())
        found = await self.feedback.assess(given, context.visible, self._audit(context, "feedback"))
        return response.document({"id": found}, 201)

    async def model(self, request: ModelRequest, media_type: str, context: Context) -> Response:
        """The predictions of a model."""
        audit = self._audit(context, "feedback/model")
        groups, page = await self.feedback.predictions(
            request.device, request.since, request.after, context.visible, audit
        )
        pieces = response.line_pieces(groups, media_type, page.model, page.next)
        following = _following(request, page, context) if page.predictions else ""
        return response.streamed(media_type, await _begun(pieces), following)

    def _audit(self, context: Context, asked: str) -> Audit:
        return lambda patients: self.audit(asked, context.caller.claims, patients)


def _following(request: ModelRequest, page: Page, context: Context) -> str:
    """The URL of the predictions behind a page."""
    since = {"since": request.since.isoformat()} if request.since else {}
    query = urlencode({"device": request.device, **since, "after": page.next})
    return f"{context.urls.within(None).root}/feedback/model?{query}"


async def _begun(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same, with what comes before the first group read: a server that is away is an error, not half a body."""
    first = [await anext(pieces), await anext(pieces, b"")]

    async def all_of_them() -> AsyncIterator[bytes]:
        for each in first:
            yield each
        async for each in pieces:
            yield each

    return all_of_them()
