"""A FHIR server in memory: versions, conditional create, If-Match, atomic transactions, searches, paging, strictness.

It stands for `shared.outgoing.server.Server` below a client. `fault` decides about each request before it is done.
"""

import copy
import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

from shared.outgoing.failures import RequestFailed
from shared.outgoing.server import Answer
from shared.outgoing.tokens import NoToken

type Fault = Callable[[str, str], Answer | RequestFailed | None]

_REFERENCES = {
    ("ImagingStudy", "patient"): "subject",
    ("ImagingStudy", "endpoint"): "endpoint",
    ("Observation", "patient"): "subject",
    ("Observation", "part-of"): "partOf",
    ("Condition", "patient"): "subject",
    ("DiagnosticReport", "patient"): "subject",
    ("DiagnosticReport", "results-interpreter"): "resultsInterpreter",
    ("DiagnosticReport", "performer"): "performer",
    ("Consent", "patient"): "patient",
    ("MedicationRequest", "patient"): "subject",
    ("MedicationRequest", "medication"): "medicationReference",
    **{
        (kind, "patient"): "subject"
        for kind in ("Encounter", "Procedure", "MedicationStatement", "CarePlan", "DocumentReference")
    },
    **{(kind, "patient"): "patient" for kind in ("AllergyIntolerance", "Immunization")},
}
_TEXTS = {"name", "family"}
_TOKENS = {"identifier", "code", "connection-type", "status"}


def outcome(code: str) -> bytes:
    return orjson.dumps(
        {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code, "diagnostics": "told why"}]}
    )


class FakeFhirServer:
    """One server. `requests` counts requests, `transactions` those that were done, `writes` changed resources."""

    def __init__(self, base: str = "http://fhir.test/fhir", *, page: int = 20, posts: bool = True) -> None:
        self.base = base
        self.name = "FHIR"
        self.tokens = NoToken()
        self.requests = 0
        self.transactions = 0
        self.writes = 0
        self.fault: Fault | None = None
        self.strict_refused = False
        self.sent: list[tuple[str, str, Mapping[str, str], bytes | None]] = []
        self.bundles: list[dict[str, Any]] = []
        self.before_transaction: Callable[[], None] | None = None
        self.now = "2026-01-01T00:00:00Z"
        self.histories: dict[tuple[str, str], list[dict[str, Any]]] | None = {}
        """Versions of what tests have put, oldest first; None: the server offers none."""
        self._page = page
        self._posts = posts
        self.resources: dict[tuple[str, str], dict[str, Any]] = {}

    # ------------------------------------------------------------------------------------------ what tests look at

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [copy.deepcopy(each) for (of, _), each in sorted(self.resources.items()) if of == kind]

    def put(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """Store a resource, as somebody else than the client does."""
        resource = {**copy.deepcopy(dict(resource)), "id": resource.get("id") or uuid.uuid4().hex}
        stored = self._store(self.resources, resource)
        if self.histories is not None:
            self.histories.setdefault((stored["resourceType"], stored["id"]), []).append(copy.deepcopy(stored))
        return stored

    def versions(self) -> dict[str, str]:
        return {"/".join(key): each["meta"]["versionId"] for key, each in self.resources.items()}

    # --------------------------------------------------------------------------------------------------- as Server

    def address(self, target: str) -> str:
        return target

    async def close(self) -> None:
        pass

    async def request(
        self, method: str, target: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        self.requests += 1
        headers = headers or {}
        self.sent.append((method, target, headers, body))
        if self.fault and (faulty := self.fault(method, target)):
            if isinstance(faulty, RequestFailed):
                raise faulty
            return faulty
        path = urlsplit(target.removeprefix(f"{self.base}/"))
        parts = [unquote(part) for part in path.path.split("/") if part]
        if method == "POST" and not parts:
            return self._transaction(orjson.loads(body or b"{}"))
        if parts == ["metadata"]:
            return _answer(
                200,
                {
                    "resourceType": "CapabilityStatement",
                    "fhirVersion": "4.0.1",
                    "rest": [{"mode": "server", "interaction": [{"code": "transaction"}]}],
                },
            )
        if method == "POST" and parts[1:] == ["_search"]:
            return self._search(parts[0], (body or b"").decode(), headers) if self._posts else _refused(405)
        if method == "GET" and len(parts) == 1:
            return self._search(parts[0], path.query, headers)
        request = {
            "method": method,
            "url": target,
            "ifNoneExist": headers.get("If-None-Exist", ""),
            "ifMatch": headers.get("If-Match", ""),
        }
        if method == "GET" and parts[2:] == ["_history"]:
            return self._history((parts[0], parts[1]))
        if method == "GET":
            found = self.resources.get((parts[0], parts[1]))
            return _answer(200, found) if found else _refused(404)
        status, resource = self._one(self.resources, request, orjson.loads(body) if body else None)
        return _answer(status, resource) if resource is not None and status < 300 else Answer(status, {}, outcome("x"))

    # ----------------------------------------------------------------------------------------------------- inside

    def _store(self, into: dict[tuple[str, str], dict[str, Any]], resource: dict[str, Any]) -> dict[str, Any]:
        key = resource["resourceType"], resource["id"]
        before = into.get(key)
        version = int(before["meta"]["versionId"]) + 1 if before else 1
        meta = {**resource.get("meta", {}), "versionId": str(version), "lastUpdated": self.now}
        into[key] = {**resource, "meta": meta}
        self.writes += 1
        return into[key]

    def _history(self, key: tuple[str, str]) -> Answer:
        if self.histories is None:
            return _refused(405)
        versions = [{"resource": each} for each in reversed(self.histories.get(key, []))]
        return _answer(200, {"resourceType": "Bundle", "type": "history", "entry": versions})

    def _one(
        self, into: dict[tuple[str, str], dict[str, Any]], request: Mapping[str, Any], resource: dict[str, Any] | None
    ) -> tuple[int, dict[str, Any] | None]:
        method, parts = request["method"], request["url"].split("/")
        if method == "POST":
            assert resource is not None
            if condition := request.get("ifNoneExist"):
                found = self._matching(into, parts[0], parse_qsl(condition, keep_blank_values=True))
                if len(found) > 1:
                    return 412, None
                if found:
                    return 200, found[0]
            return 201, self._store(into, {**resource, "id": uuid.uuid4().hex})
        key = parts[0], parts[1]
        if method == "DELETE":
            into.pop(key, None)
            return 204, {}
        assert resource is not None
        match = request.get("ifMatch", "")
        if match and (key not in into or match != f'W/"{into[key]["meta"]["versionId"]}"'):
            return 412, None
        return (200 if key in into else 201), self._store(into, resource)

    def _transaction(self, bundle: dict[str, Any]) -> Answer:
        self.bundles.append(copy.deepcopy(bundle))
        if self.before_transaction:
            hook, self.before_transaction = self.before_transaction, None
            hook()
        into, writes = dict(self.resources), self.writes
        named: dict[str, str] = {}
        order = {"DELETE": 0, "POST": 1, "PUT": 2}
        answers: dict[int, dict[str, Any]] = {}
        entries = list(enumerate(bundle["entry"]))
        for at, entry in sorted(entries, key=lambda each: order[each[1]["request"]["method"]]):
            status, resource = self._one(into, entry["request"], copy.deepcopy(entry.get("resource")))
            if status >= 400:
                self.writes = writes
                return Answer(status, {}, outcome("conflict"))
            answers[at] = {"response": {"status": str(status)}}
            if resource and status in (200, 201):
                local = f"{resource['resourceType']}/{resource['id']}"
                named[entry["fullUrl"]] = local
                answers[at]["response"] |= {
                    "location": f"{self.base}/{local}/_history/{resource['meta']['versionId']}",
                    "etag": f'W/"{resource["meta"]["versionId"]}"',
                }
        self.resources = {key: _renamed(each, named) for key, each in into.items()}
        self.transactions += 1
        return _answer(
            200, {"resourceType": "Bundle", "type": "transaction-response", "entry": [answers[at] for at, _ in entries]}
        )

    def _search(self, kind: str, form: str, headers: Mapping[str, str]) -> Answer:
        parameters = parse_qsl(form, keep_blank_values=True)
        strict = headers.get("Prefer") == "handling=strict"
        known = {name.partition(":")[0] for of, name in _REFERENCES if of == kind} | _TEXTS | _TOKENS
        known |= {"_count", "_at", "_sort", "_id", "_elements", "_lastUpdated"}
        if strict and (self.strict_refused or any(name.partition(":")[0] not in known for name, _ in parameters)):
            return Answer(400, {}, outcome("not-supported"))
        at = int(dict(parameters).get("_at", "0"))
        found = self._matching(self.resources, kind, parameters)
        entries = [{"resource": each, "search": {"mode": "match"}} for each in found[at : at + self._page]]
        entries.append({"resource": orjson.loads(outcome("informational")), "search": {"mode": "outcome"}})
        links = []
        if at + self._page < len(found):
            kept = "&".join(f"{name}={_quoted(value)}" for name, value in parameters if name != "_at")
            links = [{"relation": "next", "url": f"{self.base}/{kind}?{kept}&_at={at + self._page}"}]
        return _answer(
            200, {"resourceType": "Bundle", "type": "searchset", "total": len(found), "link": links, "entry": entries}
        )

    def _matching(
        self, resources: Mapping[tuple[str, str], dict[str, Any]], kind: str, parameters: list[tuple[str, str]]
    ) -> list[dict[str, Any]]:
        found = [each for (of, _), each in sorted(resources.items()) if of == kind]
        for name, value in parameters:
            found = [each for each in found if self._fits(each, kind, name, value)]
        return found

    def _fits(self, resource: dict[str, Any], kind: str, name: str, value: str) -> bool:
        alternatives = _split(value, ",")
        if name == "_id":
            return resource["id"] in alternatives
        if (kind, name) in _REFERENCES:
            held = resource.get(_REFERENCES[kind, name], [])
            held = held if isinstance(held, list) else [held]
            references = {each.get("reference", "") for each in held}
            return any(
                alternative in references or any(each.endswith(f"/{alternative}") for each in references)
                for alternative in alternatives
            )
        if name in _TEXTS:
            return any(each.lower().startswith(value.lower()) for each in _texts(resource.get("name")))
        if name not in _TOKENS:
            return True
        held = list(_tokens(resource, name))
        return any(_token_fits(held, alternative) for alternative in alternatives)


def _token_fits(held: list[tuple[str, str]], wanted: str) -> bool:
    parts = [_unescaped(each) for each in _split(wanted, "|")]
    if len(parts) == 1:
        return any(code == parts[0] for _, code in held)
    return any(system == parts[0] and (not parts[1] or code == parts[1]) for system, code in held)


def _tokens(resource: dict[str, Any], name: str) -> Any:
    if name == "identifier":
        yield from ((each.get("system", ""), each.get("value", "")) for each in resource.get("identifier", []))
    elif name == "connection-type":
        coding = resource.get("connectionType", {})
        yield coding.get("system", ""), coding.get("code", "")
    elif name == "code":
        concept = resource.get("code") or resource.get("medicationCodeableConcept") or {}
        yield from ((each.get("system", ""), each.get("code", "")) for each in concept.get("coding", []))
    else:
        yield "", resource.get(name, "")


def _texts(names: Any) -> list[str]:
    if isinstance(names, str):
        return [names]
    return [part for each in names or [] for part in [each.get("family", ""), *each.get("given", [])]]


def _split(text: str, separator: str) -> list[str]:
    parts, part, escape = [], "", False
    for character in text:
        if escape:
            part, escape = f"{part}\\{character}", False
        elif character == "\\":
            escape = True
        elif character == separator:
            parts.append(part)
            part = ""
        else:
            part += character
    return [*parts, part]


def _unescaped(text: str) -> str:
    plain, at = "", 0
    while at < len(text):
        at += text[at] == "\\"
        plain += text[at : at + 1]
        at += 1
    return plain


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


def _renamed(value: Any, named: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            name: named.get(each, each) if name == "reference" else _renamed(each, named)
            for name, each in value.items()
        }
    return [_renamed(each, named) for each in value] if isinstance(value, list) else value


def _answer(status: int, document: Any) -> Answer:
    return Answer(status, {"content-type": "application/fhir+json"}, orjson.dumps(document))


def _refused(status: int) -> Answer:
    return Answer(status, {}, outcome("not-supported"))
