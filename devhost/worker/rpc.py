# ruff: noqa: D101, D106 - the messages are named by the protocol and hold what their fields say
"""Stand-ins for the messages of the Functions host protocol that azure-functions-runtime reads and builds.

The runtime is handed this module as its `protos`. The classes have the fields and nested names that it touches, make
the type checks that protobuf would make where an app could trip over them, and do nothing else. They live in the worker
process only; between host and worker go plain values (`channel.py`).
"""

from typing import Any, ClassVar, Final


class _Message:
    """A message whose fields are its slots; a field that is not given is None."""

    __slots__: tuple[str, ...] = ()

    def __init__(self, **fields: Any) -> None:
        for name in self.__slots__:
            setattr(self, name, fields.pop(name, None))
        if fields:
            raise ValueError(f"{type(self).__name__} has no field {next(iter(fields))!r}")


class BindingInfo(_Message):
    __slots__ = ("data_type", "direction", "properties", "type")
    out: ClassVar = 1
    inout: ClassVar = 2
    undefined: ClassVar = 0
    string: ClassVar = 1
    binary: ClassVar = 2
    stream: ClassVar = 3


class StatusResult(_Message):
    __slots__ = ("exception", "logs", "result", "status")
    Failure: ClassVar = 0
    Success: ClassVar = 1
    Cancelled: ClassVar = 2


class RpcException(_Message):
    __slots__ = ("message", "source", "stack_trace")


class WorkerMetadata(_Message):
    __slots__ = ("custom_properties", "runtime_name", "runtime_version", "worker_bitness", "worker_version")


class WorkerInitRequest(_Message):
    __slots__ = ("capabilities", "function_app_directory", "host_version", "worker_directory")


class WorkerInitResponse(_Message):
    __slots__ = ("capabilities", "result", "worker_metadata", "worker_version")


class RpcRetryOptions(_Message):
    __slots__ = ("delay_interval", "max_retry_count", "maximum_interval", "minimum_interval", "retry_strategy")


class RpcFunctionMetadata(_Message):
    __slots__ = (
        "bindings", "directory", "entry_point", "function_id", "is_proxy", "language", "managed_dependency_enabled",
        "name", "properties", "raw_bindings", "retry_options", "script_file", "status",
    )  # fmt: skip  # read at once: one item a line says no more


class FunctionMetadataResponse(_Message):
    __slots__ = ("function_metadata_results", "result", "use_default_metadata_indexing")


class FunctionLoadRequest(_Message):
    __slots__ = ("function_id", "metadata")


class FunctionLoadResponse(_Message):
    __slots__ = ("function_id", "is_dependency_downloaded", "result")


class FunctionEnvironmentReloadResponse(_Message):
    __slots__ = ("capabilities", "result", "worker_metadata")


class TraceContext(_Message):
    __slots__ = ("attributes", "trace_parent", "trace_state")


class RetryContext(_Message):
    __slots__ = ("exception", "max_retry_count", "retry_count")


class InvocationRequest(_Message):
    __slots__ = ("function_id", "input_data", "invocation_id", "retry_context", "trace_context", "trigger_metadata")


class InvocationResponse(_Message):
    __slots__ = ("invocation_id", "output_data", "result", "return_value")


class ParameterBinding(_Message):
    __slots__ = ("data", "name")

    def WhichOneof(self, _group: str) -> str:  # noqa: N802 - protobuf's own name
        """The kind of binding: always plain data."""
        return "data"


class ModelBindingData(_Message):
    __slots__ = ("content", "content_type", "source", "version")


class NullableString(_Message):
    __slots__ = ("value",)


class NullableBool(_Message):
    __slots__ = ("value",)


class NullableDouble(_Message):
    __slots__ = ("value",)


class NullableTimestamp(_Message):
    __slots__ = ("value",)


class RpcHttpCookie(_Message):
    __slots__ = (
        "domain", "expires", "http_only", "max_age", "name", "path", "same_site", "secure", "value",
    )  # fmt: skip  # read at once: one item a line says no more

    class SameSite:
        Lax: ClassVar = 1
        Strict: ClassVar = 2
        ExplicitNone: ClassVar = 3


class RpcHttp(_Message):
    __slots__ = (
        "body", "cookies", "enable_content_negotiation", "headers", "identities", "method", "params", "query",
        "raw_body", "status_code", "url",
    )  # fmt: skip  # read at once: one item a line says no more

    def __init__(self, **fields: Any) -> None:
        for name in ("headers", "params", "query"):
            entries = fields.setdefault(name, {})
            for key, value in entries.items():
                if not isinstance(key, str) or not isinstance(value, str):
                    raise TypeError(f"bad argument type for built-in operation: RpcHttp.{name}[{key!r}]")
        fields.setdefault("body", TypedData())
        super().__init__(**fields)


_SCALARS: Final[dict[str, type]] = {"string": str, "json": str, "bytes": bytes, "stream": bytes, "int": int}


class TypedData:
    """One value of one kind: string, json, bytes, stream, int, double, http, model_binding_data or a collection."""

    __slots__ = ("_kind", "_value")

    def __init__(self, **one: Any) -> None:
        self._kind: str | None = None
        self._value: Any = None
        for kind, value in one.items():
            if value is None:
                continue
            wanted = _SCALARS.get(kind)
            if wanted is not None and not isinstance(value, wanted):
                raise TypeError(f"bad argument type for built-in operation: TypedData.{kind} = {type(value).__name__}")
            self._kind, self._value = kind, value

    def WhichOneof(self, _group: str) -> str | None:  # noqa: N802 - protobuf's own name
        """The kind of the value; None when there is none."""
        return self._kind

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name == self._kind:
            return self._value
        raise AttributeError(name)


class _Which:
    """The `request` of an envelope: exactly one message under its protocol name."""


class Envelope:
    """The envelope in which Azure's proxy worker hands to the runtime: one message and the worker's properties."""

    __slots__ = ("properties", "request")

    def __init__(self, properties: dict[str, Any], **message: Any) -> None:
        self.properties = properties
        self.request = _Which()
        vars(self.request).update(message)


# Names that are words of Python: protobuf has them all the same.
setattr(BindingInfo, "in", 0)
setattr(RpcHttpCookie.SameSite, "None", 0)
