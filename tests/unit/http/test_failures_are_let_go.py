"""A failure that has been answered holds nothing: its frames would keep what they were working on."""

import asyncio
import gc
import weakref

import pytest

from shared.error_frames import forget_frames
from shared.errors import NotAcceptable
from shared.http.exchange import ResponseAborted
from shared.http.messages import Response
from tests.builders.http import ask


class File:
    """Something large that a request works on."""


@pytest.fixture
def without_collector():
    gc.disable()
    yield
    gc.enable()


async def in_a_task(held, failure):
    """Fails in a task that a variable of this frame refers to, as the task refers to the failure."""

    async def work():
        file = File()
        held.append(weakref.ref(file))
        try:
            raise KeyError("inner")
        except KeyError:
            raise failure from None

    task = asyncio.create_task(work())
    return await asyncio.shield(task)


@pytest.mark.spec("STOW-50", "WADO-12")
@pytest.mark.parametrize("failure", [NotAcceptable("no"), ZeroDivisionError()])
async def test_what_a_failed_request_worked_on_is_gone_with_it(without_collector, failure):
    held: list[weakref.ref[File]] = []

    async def handler(_request, _context):
        return await in_a_task(held, failure)

    response = await ask("GET", "/v2/studies", handler=handler)
    await asyncio.sleep(0)
    assert response.status in {406, 500}
    assert [each() for each in held] == [None]


@pytest.mark.spec("STOW-50", "WADO-28")
async def test_what_a_broken_answer_worked_on_is_gone_with_it(without_collector):
    held: list[weakref.ref[File]] = []

    async def handler(_request, _context):
        async def body():
            yield b"beginning"
            yield b"middle"
            await in_a_task(held, NotAcceptable("no"))

        return Response(200, body=body())

    response = await ask("GET", "/v2/studies", handler=handler)
    with pytest.raises(ResponseAborted):
        async for _ in response.body:
            pass
    await response.body.aclose()
    await asyncio.sleep(0)
    assert [each() for each in held] == [None]


def test_all_that_led_to_an_error_is_forgotten():
    try:
        try:
            try:
                raise KeyError
            except KeyError:
                raise ValueError from None
        except ValueError as cause:
            raise ExceptionGroup("several", [TypeError()]) from cause
    except ExceptionGroup as error:
        found = error
    forget_frames(found)
    assert isinstance(found.__cause__, ValueError)
    assert isinstance(found.__cause__.__context__, KeyError)
    chain = [found, found.__cause__, found.__cause__.__context__, *found.exceptions]
    assert [each.__traceback__ for each in chain] == [None] * 4
