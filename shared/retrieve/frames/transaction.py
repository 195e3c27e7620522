"""Retrieve Frames: byte ranges of the file, never the whole of it for one frame (PS3.18 §10.4.1.1.6, FRM-7)."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from shared import metrics
from shared.dicomweb.content_negotiation import Accept
from shared.dicomweb.urls import Urls
from shared.http.messages import Response
from shared.http.transaction import Context
from shared.retrieve import response
from shared.retrieve.frames.locating import LocatedFrames, locate
from shared.retrieve.frames.reading import FrameBody, read_frames, read_range
from shared.retrieve.frames.request import FramesRequest, allow_frames, check_frame_numbers
from shared.retrieve.negotiation import RetrievedResource, choices, nothing_found
from shared.retrieve.response import Part, representation_tag
from shared.retrieve.snapshot import Backend, Snapshot, current, find_instance


@dataclass(frozen=True, slots=True)
class FramesTransaction:
    """Retrieve Frames."""

    backend: Backend

    async def frames(self, request: FramesRequest, accept: Accept, context: Context) -> Response:
        """The frames of an instance that the path lists."""
        numbers = request.numbers
        check_frame_numbers(numbers)
        accepted = allow_frames(choices(RetrievedResource.FRAMES, accept.types()), len(numbers))
        found = await find_instance(
            self.backend.archive(context.partition, original=context.original, within=context.confinement),
            context.instance,
            accepted,
        )

        async def attempt(snapshot: Snapshot) -> Response:
            located = await locate(snapshot, numbers, accepted)
            tag = representation_tag(snapshot, located.choice, located.encoding, changed=located.changed)
            if context.if_none_match.has(tag):
                return response.not_modified(tag)
            if located.choice.multipart:
                answer = await _multipart(numbers, located, context.urls, tag)
            else:
                answer = await _only(located, request, tag)
            metrics.add(metrics.INSTANCES_RETRIEVED, transcoded=located.changed, frames=True)
            return answer

        answer = await current(found, attempt)
        if answer is None:
            raise nothing_found(accepted, "instance")
        return answer


async def _only(located: LocatedFrames, request: FramesRequest, tag: str) -> Response:
    """One frame as the whole body, or a range of it. Raises RangeUnsatisfiable."""
    if located.changed:  # HTTP-2
        frames = await read_frames(located)
        return response.single_part(located.encoding, frames.length, frames.first, tag)
    part = await read_range(located, request.span, tag)
    if part is not None:
        length = part.span[1] - part.span[0]
        whole = response.single_part(located.encoding, length, part.body, tag)
        return response.in_ranges(whole, part.span, part.size)
    frames = await read_frames(located)
    whole = response.single_part(located.encoding, frames.length, frames.first, tag)
    return response.with_headers(whole, ("Accept-Ranges", "bytes"))


async def _multipart(numbers: Sequence[int], located: LocatedFrames, urls: Urls, tag: str) -> Response:
    frames = await read_frames(located)

    def part(number: int, body: FrameBody) -> Part:
        return Part(located.encoding, urls.frame(located.snapshot.identifier, number), body)

    async def parts() -> AsyncGenerator[Part]:
        numbered = iter(numbers)
        async with aclosing(frames.rest):
            yield part(next(numbered), frames.first)
            async for body in frames.rest:
                yield part(next(numbered), body)

    if len(numbers) == 1 and isinstance(frames.first, bytes):
        await frames.rest.aclose()
        return response.one_part(part(numbers[0], frames.first), tag)
    return response.several_parts(located.encoding.media_type, parts(), tag)
