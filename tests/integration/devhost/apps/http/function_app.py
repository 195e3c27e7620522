"""An app that shows what the host does with HTTP."""

import asyncio
import hashlib
import logging
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import azure.functions as func
from azurefunctions.extensions.http.fastapi import JSONResponse, Request, Response, StreamingResponse

logging.getLogger("azure.functions").setLevel(logging.WARNING)
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
_BLOCK = bytes(range(256)) * 1024
_log = logging.getLogger("app")
_background: set[asyncio.Task[None]] = set()


def _note(text: str) -> None:
    """Leave a line where the test can see it."""
    path = os.environ.get("NOTES")
    if path:
        with Path(path).open("a", encoding="utf-8") as notes:
            notes.write(text + "\n")


@app.route(route="ping", methods=["GET", "HEAD"])
async def ping(req: Request) -> Response:
    return Response("pong", media_type="text/plain")


@app.route(route="pid", methods=["GET"])
async def pid(req: Request) -> Response:
    return Response(str(os.getpid()))


@app.route(route="echo/{first}/{second?}", methods=["GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE"])
async def echo(req: Request, context: func.Context) -> JSONResponse:
    body = await req.body()
    answer = {
        "method": req.method,
        "raw_path": req.scope["raw_path"].decode(),
        "query": req.scope["query_string"].decode(),
        "values": dict(req.path_params),
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in req.headers.raw],
        "length": len(body),
        "digest": hashlib.sha256(body).hexdigest(),
        "invocation": context.invocation_id,
        "function": context.function_name,
    }
    response = JSONResponse(answer, headers={"X-Test": "1"})
    response.raw_headers.append((b"set-cookie", b"a=1"))
    response.raw_headers.append((b"set-cookie", b"b=2"))
    return response


@app.route(route="upload", methods=["POST"])
async def upload(req: Request) -> Response:
    length, digest = 0, hashlib.sha256()
    try:
        async for chunk in req.stream():
            length += len(chunk)
            digest.update(chunk)
    except Exception as error:
        _note(f"upload broke off: {type(error).__name__}")
        raise
    return JSONResponse({"length": length, "digest": digest.hexdigest()})


@app.route(route="refuse", methods=["POST"])
async def refuse(req: Request) -> Response:
    return Response("no", status_code=415)


@app.route(route="download/{mib:int}", methods=["GET", "HEAD"])
async def download(req: Request) -> StreamingResponse:
    size = int(req.path_params["mib"]) << 20

    async def body() -> AsyncIterator[bytes]:
        sent = 0
        try:
            while sent < size:
                await asyncio.sleep(0)  # as a body does that comes from storage: the server of the worker may look up
                yield _BLOCK
                sent += len(_BLOCK)
        finally:
            _note(f"download ended after {'all' if sent >= size else 'a part'}")

    headers = {} if req.query_params.get("chunked") else {"content-length": str(size)}
    return StreamingResponse(body(), media_type="application/octet-stream", headers=headers)


@app.route(route="wait/{seconds}", methods=["GET"])
async def wait(req: Request) -> Response:
    _note("waiting")
    await asyncio.sleep(float(req.path_params["seconds"]))
    return Response("done")


@app.route(route="block/{seconds}", methods=["GET"])
async def block(req: Request) -> Response:
    time.sleep(float(req.path_params["seconds"]))  # noqa: ASYNC251 - a function that blocks its worker is the point
    return Response("done")


@app.route(route="drip/{count:int}", methods=["GET"])
async def drip(req: Request) -> StreamingResponse:
    async def body() -> AsyncIterator[bytes]:
        for i in range(int(req.path_params["count"])):
            yield f"{i}\n".encode()
            await asyncio.sleep(0.05)

    return StreamingResponse(body(), media_type="text/plain")


@app.route(route="boom", methods=["GET"])
async def boom(req: Request) -> Response:
    raise RuntimeError("boom")


@app.route(route="boom-midway", methods=["GET"])
async def boom_midway(req: Request) -> StreamingResponse:
    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 100_000
        raise RuntimeError("midway")

    return StreamingResponse(body())


@app.route(route="log/{text}", methods=["GET"])
async def log(req: Request) -> Response:
    """Writes one line while it runs, and one from a task that outlives it."""
    text = req.path_params["text"]
    _log.warning("inside %s", text)

    async def afterwards() -> None:
        await asyncio.sleep(0.2)
        _log.warning("outside %s", text)

    _background.add(asyncio.create_task(afterwards()))
    return Response("logged")


@app.route(route="crash", methods=["GET"])
async def crash(req: Request) -> Response:
    os._exit(9)


@app.route(route="busy-invocations", methods=["GET"])
async def busy_invocations(req: Request) -> Response:
    """How many invocations this worker is at."""
    tasks = asyncio.all_tasks()
    return Response(str(sum("Worker._answer" in str(task.get_coro()) for task in tasks)))


@app.route(route="status/{code:int}", methods=["GET", "HEAD"])
async def status(req: Request) -> Response:
    return Response(status_code=int(req.path_params["code"]))


@app.route(route="settings", methods=["GET"])
async def settings(req: Request) -> JSONResponse:
    return JSONResponse(dict(os.environ))


@app.route(route="{*path}", methods=["GET"])
async def zz_fallback(req: Request) -> Response:
    return Response("fallback", status_code=404)
