"""Bulk import is there only where a setting says so."""

import azure.functions as func
import pytest

from shared.errors import Misconfigured
from shared.settings import Settings
from shared.storage.identity import Identity
from shared.wiring import app as wiring
from shared.wiring.stores import import_stores
from tests.builders.http import settings

FUNCTIONS = {"import_instance", "import_given_up"}
EMULATOR = {"DicomStorage": "UseDevelopmentStorage=true", "AUTHENTICATION_MODE": "off"}
URIS = {
    "ImportStorage__blobServiceUri": "https://inbox.blob.core.windows.net",
    "ImportStorage__queueServiceUri": "https://inbox.queue.core.windows.net",
}


def functions(**fields):
    app = func.FunctionApp()
    for blueprint in wiring.blueprints(settings(**fields)):
        app.register_functions(blueprint)
    return {function.get_function_name(): function.get_trigger() for function in app.get_functions()}


@pytest.mark.spec("IMP-1")
async def test_without_the_setting_there_is_no_import():
    assert FUNCTIONS & set(functions()) == set()
    assert set(functions(bulk_import=True)) >= FUNCTIONS


@pytest.mark.spec("IMP-3")
async def test_the_queue_is_in_the_account_of_the_import_container():
    same = functions(bulk_import=True, import_queue="work")
    own = functions(bulk_import=True, import_connection="UseDevelopmentStorage=true")

    assert (same["import_instance"].connection, same["import_instance"].queue_name) == ("DicomStorage", "work")
    assert (own["import_instance"].connection, own["import_instance"].queue_name) == ("ImportStorage", "import-queue")
    assert (own["import_given_up"].connection, own["import_given_up"].queue_name) == (
        "ImportStorage",
        "import-queue-poison",
    )


@pytest.mark.spec("IMP-3")
async def test_an_account_of_its_own_may_be_named_by_its_addresses():
    places = import_stores(Settings.from_environment({**EMULATOR, **URIS}), Identity("")).places
    assert places.url("error-container", "a b.dcm") == "https://inbox.blob.core.windows.net/error-container/a%20b.dcm"


@pytest.mark.spec("IMP-3")
@pytest.mark.parametrize(
    "wrong",
    [
        {"IMPORT_CONTAINER": "dicom"},
        {"IMPORT_ERROR_CONTAINER": "import-container"},
        {"IMPORT_ERROR_QUEUE": "import-queue"},
        {"ImportStorage__blobServiceUri": URIS["ImportStorage__blobServiceUri"]},
    ],
)
def test_places_that_would_mix_files_up_are_refused(wrong):
    with pytest.raises(Misconfigured):
        Settings.from_environment({**EMULATOR, **wrong})
