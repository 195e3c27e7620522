"""The function of access reports."""

import azure.functions as func

from shared.access_report.request import ReportRequest, accept, parse
from shared.access_report.response import report_answer
from shared.access_report.transaction import AccessReports
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.messages import Response
from shared.http.transaction import Context, Transaction


def blueprint(boundary: Boundary, reports: AccessReports) -> func.Blueprint:
    """The function of access reports."""

    async def report(request: ReportRequest, media_type: str, context: Context) -> Response:
        reports.check_permitted(context.caller, context.partition)
        return report_answer(request, await reports.report(request, context.partition), media_type)

    functions = func.Blueprint()
    mount(functions, boundary, "report_accesses", Transaction(parse, accept, report))
    return functions
