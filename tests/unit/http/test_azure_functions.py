"""The functions that the adapter declares, and what it silences."""

import logging

import azure.functions as func
import pytest

from shared.dicomweb.resources import RESOURCES
from shared.http.azure_functions import http_function, mount
from shared.web_extension.messages import ServerRequest, ServerResponse
from tests.builders.http import boundary, say_hello, transaction


def test_every_function_of_a_row_is_declared_with_its_template_and_methods():
    blueprint = func.Blueprint()
    for name in ("store_study", "zz_fallback"):
        mount(blueprint, boundary(data_partitions=True), name, transaction(say_hello))
    app = func.FunctionApp()
    app.register_functions(blueprint)

    declared = {
        function.get_function_name(): (function.get_trigger().route, function.get_trigger().methods)
        for function in app.get_functions()
    }

    route, methods = declared["store_study"]
    assert route == "{version}/partitions/{partition}/studies/{study}"
    assert [method.value for method in methods] == ["POST", "PUT"]
    assert declared["zz_fallback"] == ("{*path}", None)


def test_nothing_is_declared_that_the_table_does_not_know():
    with pytest.raises(KeyError):
        mount(func.Blueprint(), boundary(), "store_everything", transaction(say_hello))


def test_a_function_is_annotated_with_the_types_that_the_web_extension_has_recorded():
    from azurefunctions.extensions.base import RequestTrackerMeta, ResponseTrackerMeta

    function = http_function(boundary(), RESOURCES["search_studies"], transaction(say_hello))

    assert function.__annotations__ == {"req": ServerRequest, "context": func.Context, "return": ServerResponse}
    assert RequestTrackerMeta.check_type(ServerRequest)
    assert ResponseTrackerMeta.check_type(ServerResponse)


def test_the_chatter_of_sdks_is_silenced():
    assert not logging.getLogger("azure.functions").isEnabledFor(logging.INFO)
    assert not logging.getLogger("azure.core.pipeline").isEnabledFor(logging.INFO)
