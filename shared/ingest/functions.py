"""The function of the index: each blob that appears is indexed, if it is not already (P-2, storage §5).

The blob trigger's source is Event Grid. Only the name of the blob crosses the wire: the parameter is of a type of our
own, because the host hands a blob whole to a function that asks for its bytes.
"""

import json
from collections.abc import Mapping
from typing import Any

import azure.functions as func
from azurefunctions.extensions.base import Datum, InConverter, SdkType

from shared import telemetry
from shared.ingest.ingest import Ingest


class BlobReference(SdkType):  # type: ignore[misc]  # the extension is not typed
    """The blob that a trigger reports, unread."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        """Inside its container."""

    def get_sdk_type(self) -> str:
        """The name: there is no client behind it."""
        return self.name


class BlobReferenceConverter(  # type: ignore[call-arg]  # the extension is not typed
    InConverter,  # type: ignore[misc]  # likewise
    binding="blob",
    trigger="blobTrigger",
):
    """Makes the parameter of a function of what the host says about the blob."""

    @classmethod
    def check_input_type_annotation(cls, pytype: type) -> bool:
        """Whether a parameter of that type can be made."""
        return issubclass(pytype, BlobReference)

    @classmethod
    def decode(cls, data: Datum, *, trigger_metadata: Mapping[str, Any], pytype: type) -> BlobReference:  # noqa: ARG003 - the runtime passes them by name
        """The reference in a model binding: JSON with Connection, ContainerName and BlobName."""
        if data is None or data.type != "model_binding_data":
            raise ValueError("The host sent no model binding for the blob.")
        return BlobReference(json.loads(data.value.content)["BlobName"])

    @classmethod
    def has_implicit_output(cls) -> bool:
        """A trigger has no output."""
        return False


def blueprint(ingest: Ingest, container: str) -> func.Blueprint:
    """The function of the index."""
    functions = func.Blueprint()

    async def index_instance(blob: BlobReference) -> None:
        with telemetry.trigger("index_instance"):
            await ingest.ensure(blob.name)

    trigger = functions.blob_trigger(
        arg_name="blob", path=f"{container}/{{name}}", connection="DicomStorage", source=func.BlobSource.EVENT_GRID
    )
    functions.function_name("index_instance")(trigger(index_instance))
    return functions
