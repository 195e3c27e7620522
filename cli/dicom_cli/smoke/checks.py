"""The checks, in their order: each rules out a cause of the next."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from dicom_cli.elements import first
from dicom_cli.smoke.sample import NAME, Sample, sample
from dicom_cli.smoke.service import Answer, Failed, Service

_HEALTHY_SECONDS: Final = 60.0
_SOON_SECONDS: Final = 1.0
_EVENT_SECONDS: Final = 10.0
_TIMER_SECONDS: Final = 150.0
_MIB: Final = 1024**2
_DICOM: Final = {"Content-Type": "application/dicom", "Accept": "application/dicom+json"}
_JSON: Final = {"Accept": "application/dicom+json"}
_NOT_LOADED: Final = (
    "the app did not load: look at its log stream for the reason (a setting, a role that is not effective yet, a "
    "package that was built for another Python)"
)
_CODECS: Final = "a package of the app is missing or for another platform, or something in between changes answers"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, and what it does. The text that it returns is told; it raises Failed."""

    name: str
    run: Callable[[], str]


def checks(service: Service, one: Sample, *, large: bool) -> Iterator[Check]:
    """All checks of what any client can see, in order. `one`: what is stored, retrieved and deleted."""
    yield Check("the app answers", lambda: _answers(service))
    yield Check("it is healthy", lambda: _healthy(service))
    yield Check("it is this service", lambda: _documents(service))
    yield Check("it asks who one is", lambda: _asks(service))
    yield Check("it does not believe everything", lambda: _forged(service))
    if service.token:
        yield Check("the tokens are right", lambda: _tokens(service))
    if service.origin:
        yield Check("the viewer's origin is admitted", lambda: _origin(service))
    yield Check("store", lambda: _store(service, one, large=large))
    yield Check("search", lambda: _search(service, one))
    yield Check("retrieve", lambda: _retrieve(service, one))
    yield Check("change feed", lambda: _feed(service, one, "Create"))
    yield Check("delete", lambda: _delete(service, one))


def clean_up(service: Service) -> str:
    """Remove what an interrupted run may have left: studies of accession number SMOKE are of nobody."""
    removed = 0
    found = service.ask("GET", service.path("studies?AccessionNumber=SMOKE&limit=200"), headers=_JSON)
    for study in found.json() if found.status == 200 else []:
        if str(_value(study, "00100020")).startswith("SMOKE-"):
            service.ask("DELETE", service.path(f"studies/{_value(study, '0020000D')}"))
            removed += 1
    return f"{removed} studies of earlier runs"


# ----------------------------------------------------------------------------------------------------- the deployment


def _answers(service: Service) -> str:
    answer = service.ask("GET", "/", token="")
    if answer.header("X-Content-Type-Options") != "nosniff":
        raise Failed(f"GET / is {answer.status} and not of this service: {answer.excerpt}", _NOT_LOADED)
    return f"{service.url} in {answer.seconds:.1f} s"


def _healthy(service: Service) -> str:
    began = time.monotonic()
    while True:
        answer = service.ask("GET", "/health/check", token="")
        if answer.status == 200:
            break
        if time.monotonic() - began > _HEALTHY_SECONDS:
            raise Failed(
                f"/health/check is {answer.status}: {answer.excerpt}",
                "the part that it names refuses or does not answer; roles of a new deployment take up to ten minutes",
            )
        time.sleep(2)
    again = service.ask("GET", "/health/check", token="").expect(200, means="its health changes from moment to moment")
    report = again.json()
    parts = ", ".join(f"{each['name']} {each['status']}" for each in report["details"])
    unwell = [each for each in report["details"] if each["status"] != "Healthy"]
    if unwell:
        raise Failed(f"{parts}: {unwell[0]['description']}", "the service works without it, but not as it should")
    if again.seconds > _SOON_SECONDS and not service.is_local:
        return f"{parts}; slow: {again.seconds:.1f} s for an answer that costs nothing"
    return f"{parts}; first answer after {time.monotonic() - began:.1f} s, then in {again.seconds:.2f} s"


def _documents(service: Service) -> str:
    document = service.ask("GET", "/v2/api.json", token="").expect(200, means=_NOT_LOADED).json()
    service.ask("OPTIONS", "/v2", token="").expect(200, 204, means="another app answers")
    if "openapi" not in document or not document.get("paths"):
        raise Failed("/v2/api.json is no description of the service", "another app answers")
    return f"version {document['info'].get('version', '?')}, {len(document['paths'])} paths"


# ------------------------------------------------------------------------------------------------------- who may come


def _asks(service: Service) -> str:
    answer = service.ask("GET", service.path("studies?limit=1"), token="", headers=_JSON)
    if answer.status in (200, 204):
        if service.is_local:
            return "authentication is off, which is for this machine alone"
        raise Failed("anybody can search", "AUTHENTICATION IS OFF: stop the app, and set AUTHENTICATION_MODE=openid")
    answer.expect(401, means="something in front refuses before the service does (platform authentication, a firewall)")
    challenge = answer.header("WWW-Authenticate")
    if "authorization_uri=" not in challenge:
        raise Failed(f"the 401 has the challenge {challenge!r}", "platform authentication answers: switch it off")
    return challenge


def _forged(service: Service) -> str:
    if service.ask("GET", service.path("studies?limit=1"), token="", headers=_JSON).status != 401:
        return "authentication is off"
    principal = {"auth_typ": "aad", "claims": [{"typ": "roles", "val": "DICOM.Data.Owner"}], "role_typ": "roles"}
    forged = base64.b64encode(json.dumps(principal).encode()).decode()
    now = int(time.time())
    claims = {"iss": "https://login.microsoftonline.com/", "roles": ["DICOM.Data.Owner"], "exp": now + 3600}
    unsigned = f"{_base64({'alg': 'none', 'typ': 'JWT'})}.{_base64(claims)}."
    tries = {
        "a forged principal of the platform": {"X-MS-CLIENT-PRINCIPAL": forged},
        "a token without signature": {"Authorization": f"Bearer {unsigned}"},
        "an invocation id of the client's": {"x-ms-invocation-id": "00000000-0000-0000-0000-000000000000"},
    }
    for what, headers in tries.items():
        answer = service.ask("GET", service.path("studies?limit=1"), token="", headers={**_JSON, **headers}, seconds=10)
        answer.expect(401, means=f"{what} is believed: take the service off the network")
    return ", ".join(tries)


def _base64(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _tokens(service: Service) -> str:
    claims = _claims(service.token)
    answer = service.ask("GET", "/v2/changefeed/latest?includeMetadata=false")
    said = f"iss {claims.get('iss')}, aud {claims.get('aud')}, roles {claims.get('roles')}"
    answer.expect(
        200,
        204,
        means=f"{said}: the issuer must be that of the authority (an application whose requestedAccessTokenVersion is "
        "not 2 gets tokens of another issuer), the audience in the challenge, a role in the roles document",
    )
    if service.reader_token:
        store = service.ask(
            "POST", service.path("studies"), body=sample().file, headers=_DICOM, token=service.reader_token
        )
        store.expect(403, means="READER_TOKEN may store: its roles give more than reading")
    return said


def _claims(token: str) -> dict[str, Any]:
    try:
        part = token.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError):
        raise Failed("TOKEN is no JSON web token", "copy the access token, not the id or refresh token") from None
    return claims


def _origin(service: Service) -> str:
    asked = {"Origin": service.origin, "Access-Control-Request-Method": "GET"}
    preflight = service.ask("OPTIONS", service.path("studies"), token="", headers=asked)
    preflight.expect(204, means="the platform's own CORS answers: remove its origins")
    if not preflight.header("Access-Control-Max-Age"):
        raise Failed(
            "the preflight has no Access-Control-Max-Age", "the platform's own CORS answers: remove its origins"
        )
    if preflight.header("Access-Control-Allow-Origin") not in (service.origin, "*"):
        raise Failed(f"{service.origin} is not admitted", "name it in CORS_ALLOWED_ORIGINS, with scheme and port")
    found = service.ask("GET", service.path("studies?limit=1"), headers={**_JSON, "Origin": service.origin})
    if not found.header("Access-Control-Expose-Headers"):
        raise Failed("answers expose no headers", "something in front removes Access-Control-Expose-Headers")
    return service.origin


# ------------------------------------------------------------------------------------------------------- what it does


def _store(service: Service, one: Sample, *, large: bool) -> str:
    path = service.path("studies")
    answer = service.ask("POST", path, body=one.file, headers=_DICOM)
    answer.expect(200, means="storage refuses (roles), or the host's request limit is too small")
    again = service.ask("POST", path, body=iter([one.file[:1000], one.file[1000:]]), headers=_DICOM)
    again.expect(409, means="chunked bodies do not arrive whole, or a store was lost")
    told = f"{len(one.file)} bytes in {answer.seconds:.2f} s, again in chunks: 409"
    if large:
        for mebibytes, status in ((99, 200), (101, 413)):
            big = sample(mebibytes * _MIB - 8 * 1024)
            for kind, body in (("with a length", big.file), ("in chunks", _pieces(big.file))):
                stored = service.ask("POST", path, body=body, headers=_DICOM, seconds=600)
                service.ask("DELETE", service.path(f"studies/{big.study}"))
                stored.expect(
                    *([200, 202] if status == 200 else [413]),
                    means=f"{mebibytes} MiB {kind}: 500 means that FUNCTIONS_REQUEST_BODY_SIZE_LIMIT is not above "
                    "MAX_REQUEST_BYTES, 502 that an instance has too little memory",
                )
        told += "; 99 MiB stored and 101 MiB refused, both ways"
    return told


def _pieces(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), _MIB):
        yield data[at : at + _MIB]


def _search(service: Service, one: Sample) -> str:
    of_study = {"StudyInstanceUID": one.study}
    queries: list[tuple[str, dict[str, str]]] = [
        ("by study", of_study),
        ("by PatientID", {"PatientID": one.patient_id}),
        ("by the whole name", {"PatientName": NAME, **of_study}),
        ("by the beginning of the name", {"PatientName": "Sm*", **of_study}),
        ("by the beginning of the PatientID", {"PatientID": f"{one.patient_id[:-2]}*", **of_study}),
        ("by date", {"StudyDate": "20251231-20260102", **of_study}),
        ("with includefield and limit", {**of_study, "includefield": "all", "limit": "1"}),
    ]
    slowest = 0.0
    for what, query in queries:
        answer = service.ask("GET", service.path(f"studies?{urlencode(query, quote_via=quote)}"), headers=_JSON)
        answer.expect(200, means=f"the search {what} does not find what has just been stored")
        if [_value(each, "0020000D") for each in answer.json()] != [one.study]:
            raise Failed(
                f"the search {what} finds something else", "order or escaping of keys in Table Storage: report it"
            )
        slowest = max(slowest, answer.seconds)
    beyond = service.ask("GET", service.path(f"studies?StudyInstanceUID={one.study}&offset=1"), headers=_JSON)
    beyond.expect(204, means="offset is not honoured")
    return f"{len(queries)} ways, the slowest {slowest:.2f} s"


def _value(data_set: dict[str, Any], tag: str) -> Any:
    return first(data_set, tag, None)


def _retrieve(service: Service, one: Sample) -> str:
    path = service.path(one.path)
    whole = {"Accept": "application/dicom; transfer-syntax=*"}
    file = service.ask("GET", path, headers=whole).expect(200, means=_CODECS)
    if file.body != one.file:
        raise Failed("the file that comes back is another one", "something in front changes bodies")
    wanted: list[tuple[str, str, dict[str, str], bytes]] = [
        (
            "study",
            service.path(f"studies/{one.study}"),
            {"Accept": "multipart/related; type=application/dicom"},
            b"DICM",
        ),
        ("metadata", f"{path}/metadata", _JSON, one.instance.encode()),
        ("frame", f"{path}/frames/1", {"Accept": "application/octet-stream"}, bytes(range(16))),
        ("rendered", f"{path}/rendered", {"Accept": "image/png"}, b"\x89PNG"),
        ("JPEG 2000", f"{path}/frames/1", {"Accept": "image/jp2"}, b"\xff\x4f\xff\x51"),
    ]
    for what, target, headers, inside in wanted:
        answer = service.ask("GET", target, headers=headers).expect(200, means=f"{what}: {_CODECS}")
        if inside not in answer.body:
            raise Failed(f"{what}: the answer is something else", _CODECS)
    head = service.ask("HEAD", path, headers=whole).expect(200, means="HEAD does not reach the service")
    part = service.ask("GET", path, headers={**whole, "Range": "bytes=128-131"}).expect(206, means="ranges are removed")
    if head.body or part.body != b"DICM":
        raise Failed("HEAD or a range is answered wrongly", "something in front changes answers")
    return f"{', '.join(what for what, *_ in wanted)}, HEAD, range; the file in {file.seconds:.2f} s"


def _feed(service: Service, one: Sample, action: str) -> str:
    began = time.monotonic()
    while time.monotonic() - began < _TIMER_SECONDS:
        latest = service.ask("GET", "/v2/changefeed/latest?includeMetadata=false")
        latest.expect(200, 204, means="the change feed cannot be read")
        if latest.status == 200 and _is_in_feed(service, latest, one, action):
            seconds = time.monotonic() - began
            if seconds > _EVENT_SECONDS:
                raise Failed(
                    f"{action} came after {seconds:.0f} s",
                    "events do not wake the service: the topic, the role EventGrid Data Sender, or the subscription "
                    "append-changes; the timer did it",
                )
            return f"{action} after {seconds:.1f} s"
        time.sleep(1)
    raise Failed(
        f"{action} is not in the change feed", "neither events nor timers run: restart the app, look at housekeeping"
    )


def _is_in_feed(service: Service, latest: Answer, one: Sample, action: str) -> bool:
    """Whether an entry among the last hundred is of that."""
    newest = int(latest.json()["sequence"])
    page = service.ask("GET", f"/v1/changefeed?includeMetadata=false&limit=100&offset={max(0, newest - 100)}")
    page.expect(200, means="the change feed cannot be read")
    return any(
        (entry["sopInstanceUid"], str(entry["action"]).lower()) == (one.instance, action.lower())
        for entry in page.json()
    )


def _delete(service: Service, one: Sample) -> str:
    study = service.path(f"studies/{one.study}")
    service.ask("DELETE", study).expect(204, means="the role does not permit to delete, or storage refuses")
    service.ask("GET", study, headers={"Accept": "multipart/related; type=application/dicom"}).expect(
        404, means="what was deleted is still shown"
    )
    return _feed(service, one, "Delete")
