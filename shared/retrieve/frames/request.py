"""Frames that are asked for (PS3.18 §10.4.1.1.6; FRM-1, FRM-4)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest, NotAcceptable
from shared.http.messages import Request
from shared.retrieve.byte_ranges import RangeRequest, parse_range
from shared.retrieve.negotiation import TransferSyntaxChoice

_FRAME = re.compile(r"\s*[+-]?[0-9]{1,10}\s*")
_GREATEST_FRAME: Final = 2**31 - 1
_FRAME_LIST: Final = "Name frames by their numbers, the first one is 1: frames/1 or frames/1,2,3."
_MOST_FRAMES: Final = 1 << 18
"""Frames in one answer to a request for all of them: what is kept of each is small, but NumberOfFrames may lie."""

_REPEATS: Final = 8
"""Repeats in a frame list, or as many as it has different frames: without a limit, a short URL would cause an answer
of gigabytes."""


@dataclass(frozen=True, slots=True)
class FramesRequest:
    """Which frames of an instance are asked for."""

    numbers: tuple[int, ...]
    """From 1 when they have been checked, in the order of the answer, repeats kept (WADO-27)."""
    span: RangeRequest
    """The bytes of the only frame (FRM-14)."""


def parse_frames(request: Request, version: ApiVersion) -> FramesRequest:
    """Raises InvalidRequest (FRM-1)."""
    return FramesRequest(frame_numbers(request.route["frames"]), parse_range(request, version))


def frame_numbers(text: str) -> tuple[int, ...]:
    """The comma-separated integers of a frame list, in order, repeats kept. Raises InvalidRequest (FRM-1, step 4)."""
    items = text.split(",")
    if not all(_FRAME.fullmatch(item) for item in items):
        raise InvalidRequest(
            "A frame list is a list of integers separated by commas.", where="path", remedy=_FRAME_LIST
        )
    numbers = tuple(int(item) for item in items)
    if max(numbers) > _GREATEST_FRAME:
        raise InvalidRequest("A frame number is too large.", where="path", remedy=_FRAME_LIST)
    return numbers


def check_frame_numbers(numbers: Sequence[int]) -> None:
    """Frames are counted from 1; a list repeats few of them. Raises InvalidRequest (FRM-1, step 8)."""
    if min(numbers) < 1:
        raise InvalidRequest("Frame numbers start at 1.", where="path", remedy=_FRAME_LIST)
    distinct = len(set(numbers))
    if len(numbers) - distinct > max(distinct, _REPEATS):
        raise InvalidRequest(
            "The frame list repeats frames too often; name each frame once.", where="path", remedy=_FRAME_LIST
        )


def all_frames(count: int) -> tuple[int, ...]:
    """The numbers of all frames of an instance that says it has `count`. Raises NotAcceptable for too many of them."""
    if count > _MOST_FRAMES:
        raise NotAcceptable("The instance has too many frames for one answer; they can be retrieved by their numbers.")
    return tuple(range(1, count + 1))


def several_frames() -> InvalidRequest:
    """The refusal of several frames where only one can be answered (FRM-4)."""
    return InvalidRequest(
        "Several frames can only be retrieved as multipart/related.",
        where="header Accept",
        remedy='Accept multipart/related; type="application/octet-stream", or name one frame.',
    )


def allow_frames(accepted: Sequence[TransferSyntaxChoice], count: int) -> tuple[TransferSyntaxChoice, ...]:
    """The choices that can hold `count` frames. Raises InvalidRequest when they are all single-part (FRM-4)."""
    if count == 1:
        return tuple(accepted)
    several = tuple(choice for choice in accepted if choice.multipart)
    if not several:
        raise several_frames()
    return several
