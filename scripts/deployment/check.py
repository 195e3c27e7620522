"""What would fail halfway, asked before anything is created: `azd up` runs it first.

The templates refuse the same values themselves; here the answer comes in seconds, and says what to type.
"""

import sys
from collections.abc import Iterator

from scripts.deployment import Unusable
from scripts.deployment.azure import Azure, RealAzure, Refused


def problems(azure: Azure) -> Iterator[str]:
    """Everything that keeps this environment from being deployed. Raises Unusable without the Azure CLI."""
    yield from _sign_in(azure)
    yield from _account(azure)
    yield from _region(azure)


def _sign_in(azure: Azure) -> Iterator[str]:
    environment = azure.environment
    created = environment.get("DICOM_CREATE_ENTRA_APPLICATION", "") == "true"
    existing = bool(environment.get("DICOM_AUTH_CLIENT_ID"))
    elsewhere = bool(environment.get("DICOM_AUTH_AUTHORITY") and environment.get("DICOM_AUTH_AUDIENCES"))
    if not (created or existing or elsewhere):
        yield (
            "Nobody could sign in. Either let the deployment create the Entra application,\n"
            "    azd env set DICOM_CREATE_ENTRA_APPLICATION true\n"
            "or name one that exists,\n"
            "    azd env set DICOM_AUTH_CLIENT_ID <client id>\n"
            "or another OpenID provider, with DICOM_AUTH_AUTHORITY and DICOM_AUTH_AUDIENCES."
        )
    if created and existing:
        yield "DICOM_CREATE_ENTRA_APPLICATION and DICOM_AUTH_CLIENT_ID exclude each other: unset one."


def _account(azure: Azure) -> Iterator[str]:
    try:
        azure.az("account", "show")
    except Refused:
        yield "The Azure CLI is not signed in, or does not see the subscription of this environment: az login"


def _region(azure: Azure) -> Iterator[str]:
    location = azure.environment.get("AZURE_LOCATION", "")
    if not location:
        return
    try:
        offered = {
            each["name"].replace(" ", "").lower() for each in azure.az("functionapp", "list-flexconsumption-locations")
        }
    except Refused as error:
        yield f"The regions of Flex Consumption could not be listed: {error}"
        return
    if location.replace(" ", "").lower() not in offered:
        regions = ", ".join(sorted(offered))
        yield f"{location} does not offer Flex Consumption: azd env set AZURE_LOCATION <one of {regions}>"


def prepare(azure: Azure) -> None:
    """Register what only a private network needs; a template cannot. Raises Refused."""
    if azure.environment.get("DICOM_PRIVATE_NETWORK", "") == "true":
        azure.az("provider", "register", "--namespace", "Microsoft.App", "--wait")


def main(azure: Azure) -> int:
    """Exit status 1 with every problem."""
    try:
        found = list(problems(azure))
        if not found:
            prepare(azure)
    except (Refused, Unusable) as error:
        found = [str(error)]
    print("\n\n".join(found), file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(RealAzure()))
