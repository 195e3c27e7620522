"""The stand-ins for protocol messages have what the runtime reads and builds."""

import ast
from pathlib import Path

import azure_functions_runtime
import pytest

from devhost.worker import rpc
from devhost.worker.process import typed_data

RUNTIME = Path(azure_functions_runtime.__file__).parent


def _chain(node: ast.expr) -> list[str]:
    """`protos.A.B` as ["A", "B"]; empty for anything else."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return names if isinstance(node, ast.Name) and node.id == "protos" else []


def _nodes() -> list[ast.AST]:
    return [node for file in RUNTIME.rglob("*.py") for node in ast.walk(ast.parse(file.read_text()))]


def test_every_message_that_the_runtime_names_exists() -> None:
    named = [names for node in _nodes() if isinstance(node, ast.Attribute) and (names := _chain(node))]
    assert len(named) > 30, "the runtime is read as expected"
    for names in named:
        found: object = rpc
        for name in names:
            assert hasattr(found, name), f"protos.{'.'.join(names)}"
            found = getattr(found, name)


def test_every_field_that_the_runtime_gives_exists() -> None:
    calls = [node for node in _nodes() if isinstance(node, ast.Call) and len(_chain(node.func)) == 1]
    checked = 0
    for call in calls:
        (name,) = _chain(call.func)
        message = getattr(rpc, name)
        if message is rpc.TypedData:
            continue
        for keyword in call.keywords:
            assert keyword.arg in message.__slots__, f"{name}.{keyword.arg}"
            checked += 1
    assert checked > 30


def test_a_message_refuses_a_field_that_it_does_not_have() -> None:
    with pytest.raises(ValueError, match="StatusResult has no field 'nothing'"):
        rpc.StatusResult(nothing=1)


@pytest.mark.parametrize("field", ["headers", "params", "query"])
def test_maps_of_an_http_message_hold_text_only(field: str) -> None:
    with pytest.raises(TypeError, match=field):
        rpc.RpcHttp(**{field: {"x": 1}})


@pytest.mark.parametrize(("kind", "value"), [("string", b"x"), ("bytes", bytearray(b"x")), ("json", 1), ("int", "1")])
def test_a_typed_value_is_of_its_type(kind: str, value: object) -> None:
    with pytest.raises(TypeError, match=kind):
        rpc.TypedData(**{kind: value})


def test_a_typed_value_has_one_kind() -> None:
    data = rpc.TypedData(string="x")
    assert (data.WhichOneof("data"), data.string) == ("string", "x")
    with pytest.raises(AttributeError):
        _ = data.bytes
    assert rpc.TypedData().WhichOneof("data") is None
    assert rpc.TypedData(string=None).WhichOneof("data") is None


def test_values_of_the_channel_become_messages() -> None:
    http = typed_data(("http", {"study": "1"}))
    assert http.http.params == {"study": "1"}
    assert http.http.body.WhichOneof("data") is None
    deferred = typed_data(("model_binding_data", {"version": "1.0", "content": {"BlobName": "b"}}))
    assert deferred.model_binding_data.content == b'{"BlobName": "b"}'
    assert typed_data(("bytes", b"x")).bytes == b"x"
