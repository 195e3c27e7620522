"""Export is there unless a setting says otherwise."""

import azure.functions as func
import pytest

from shared.dicomweb.resources import RESOURCES
from shared.errors import Misconfigured
from shared.http.routing import routed as route
from shared.wiring import app as wiring
from tests.builders.http import routed, settings

OWN = {"storage_connection": "", "blob_service_uri": "https://own.blob.core.windows.net"}
OWN |= {
    "table_service_uri": "https://own.table.core.windows.net",
    "queue_service_uri": "https://own.queue.core.windows.net",
}


def functions(**fields):
    app = func.FunctionApp()
    for blueprint in wiring.blueprints(settings(**fields)):
        app.register_functions(blueprint)
    return {function.get_function_name() for function in app.get_functions()}


@pytest.mark.spec("XPT-1")
def test_switched_off_there_is_no_export():
    assert "export_instances" in functions()
    assert "export_instances" not in functions(export=False)
    assert "export_instances" not in functions(asynchronous_operations=False)


@pytest.mark.spec("GEN-8")
@pytest.mark.parametrize("path", ["/v2/export", "/v1/Export/", "/v2/partitions/ward/export"])
def test_the_resource_is_that_of_a_partition(path):
    resource, request = routed("POST", path, data_partitions="partitions" in path)

    assert resource is RESOURCES["export_instances"]
    assert route(resource, request, data_partitions="partitions" in path).resource is resource


def test_settings_that_name_no_destination_or_no_store_of_secrets_keep_the_service_from_starting():
    with pytest.raises(Misconfigured):
        functions(export_destinations="research")
    with pytest.raises(Misconfigured):
        functions(secret_store="vault")
    with pytest.raises(ValueError, match="SECRET_STORE must be a key vault"):
        settings(website_hostname="dicom.azurewebsites.net", secret_store="file:///tmp", **OWN)
