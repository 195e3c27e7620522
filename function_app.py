"""The function app: every function of the service, declared by its package."""

import os

import azure.functions as func

from shared import wiring
from shared.settings import Settings

_settings = Settings.from_environment(os.environ)
wiring.check_store(_settings)

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for _blueprint in wiring.blueprints(_settings):
    app.register_functions(_blueprint)
