"""Log lines of the host."""

import logging

import pytest

from devhost.log import LibraryFilter, described


def _error() -> Exception:
    try:
        raise ValueError("PatientName=Secret")
    except ValueError as error:
        return error


def _filtered(name: str, text: str, *args: object, error: Exception | None = None) -> str:
    exc_info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord(name, logging.ERROR, __file__, 1, text, args, exc_info)
    assert LibraryFilter().filter(record)
    return logging.Formatter("%(message)s").format(record)


def test_an_error_is_described_by_type_and_place() -> None:
    assert described(_error()).startswith(f"ValueError at {__file__}:")
    assert described(ValueError("Secret")) == "ValueError"


@pytest.mark.parametrize(
    ("text", "args", "error", "kept"),
    [
        ("Error handling request from %s", ("Secret",), _error(), "Error handling request from %s (ValueError at "),
        ("Task exception was never retrieved\nfuture: <Task Secret>", (), None, "Task exception was never retrieved"),
        ("Unclosed connection: Connection<Secret>", (), None, "Unclosed connection"),
        ("Cannot parse 'Secret'", (), None, "Cannot parse"),
    ],
)
@pytest.mark.parametrize("name", ["aiohttp.server", "aiohttp.client", "asyncio"])
def test_a_library_tells_what_happened_and_not_to_which_request(
    name: str, text: str, args: tuple[object, ...], error: Exception | None, kept: str
) -> None:
    line = _filtered(name, text, *args, error=error)

    assert line.startswith(kept)
    assert "Secret" not in line
    assert "Traceback" not in line


def test_lines_of_the_host_stay_as_they_are() -> None:
    assert _filtered("devhost", "Executing %s", "f") == "Executing f"
