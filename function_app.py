"""The function app: every function of the service, declared by its package."""

import os

import azure.functions as func

from shared.settings import Settings
from shared.wiring.app import blueprints, check_store

_settings = Settings.from_environment(os.environ)
check_store(_settings)

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for _blueprint in blueprints(_settings):
    app.register_functions(_blueprint)
