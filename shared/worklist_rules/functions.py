"""The functions of worklist rules (AIX-2). What makes workitems is a chore of `housekeeping`."""

import azure.functions as func

from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.json_body import JsonBody
from shared.http.messages import Response
from shared.http.transaction import Context, Transaction, accepted_plain_json, nothing
from shared.worklist_rules.request import dry_run, parse_body, parse_replacement, parse_rule_id, rule_document
from shared.worklist_rules.response import dry_run_results, rule_entry, rule_list, rule_made
from shared.worklist_rules.transaction import WorklistRules


def blueprint(boundary: Boundary, rules: WorklistRules) -> func.Blueprint:
    """The functions of worklist rules."""

    async def add(body: JsonBody, _accepted: str, context: Context) -> Response:
        rule = await rules.add(context.partition.namespace, rule_document(await body.read()))
        return rule_made(rule, context.urls)

    async def list_all(_parsed: None, _accepted: str, context: Context) -> Response:
        return rule_list(await rules.all(context.partition.namespace))

    async def retrieve(rule_id: str, _accepted: str, context: Context) -> Response:
        return rule_entry(await rules.get(context.partition.namespace, rule_id))

    async def replace(sent: tuple[str, JsonBody], _accepted: str, context: Context) -> Response:
        rule_id, body = sent
        document = rule_document(await body.read())
        return rule_entry(await rules.replace(context.partition.namespace, rule_id, document))

    async def delete(rule_id: str, _accepted: None, context: Context) -> Response:
        await rules.delete(context.partition.namespace, rule_id)
        return Response(204)

    async def run_dry(body: JsonBody, _accepted: str, context: Context) -> Response:
        return dry_run_results(await rules.dry_run(context.partition.namespace, dry_run(await body.read())))

    functions = func.Blueprint()
    json = accepted_plain_json
    mount(functions, boundary, "add_worklist_rule", Transaction(parse_body, json, add))
    mount(functions, boundary, "list_worklist_rules", Transaction(nothing, json, list_all))
    mount(functions, boundary, "retrieve_worklist_rule", Transaction(parse_rule_id, json, retrieve))
    mount(functions, boundary, "replace_worklist_rule", Transaction(parse_replacement, json, replace))
    mount(functions, boundary, "delete_worklist_rule", Transaction(parse_rule_id, nothing, delete))
    mount(functions, boundary, "dry_run_worklist_rule", Transaction(parse_body, json, run_dry))
    return functions
