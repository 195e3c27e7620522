"""Functions that the host agrees to run."""

import json

import pytest

from devhost.functions import FunctionDescription, read_functions
from devhost.settings import Unusable


def _function(name: str, *bindings: dict[str, str]) -> FunctionDescription:
    return FunctionDescription("id", name, [json.dumps(binding) for binding in bindings])


def test_functions_of_every_supported_trigger_are_read() -> None:
    kinds = ["httpTrigger", "blobTrigger", "eventGridTrigger", "queueTrigger", "timerTrigger"]
    descriptions = [_function(kind, {"type": kind, "name": "x"}) for kind in kinds]
    functions = read_functions(descriptions, streaming=True, bundle=True)
    assert [function.kind for function in functions] == [kind.lower() for kind in kinds]


@pytest.mark.parametrize(
    ("bindings", "streaming", "bundle", "message"),
    [
        ([{"type": "serviceBusTrigger"}], True, True, "serviceBusTrigger"),
        ([{"type": "queueTrigger"}, {"type": "queue"}], True, True, "queue"),
        ([{"type": "http"}], True, True, "0 triggers"),
        ([{"type": "httpTrigger"}], False, True, "stream"),
        ([{"type": "timerTrigger"}], True, False, "extensionBundle"),
    ],
)
def test_a_function_that_cannot_be_run_is_refused_with_the_reason(
    bindings: list[dict[str, str]], streaming: bool, bundle: bool, message: str
) -> None:
    with pytest.raises(Unusable, match=message):
        read_functions([_function("f", *bindings)], streaming=streaming, bundle=bundle)
