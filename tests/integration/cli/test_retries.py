"""The command's HTTP client against a server that fails: again after a while, on from where it was cut (CLI-8)."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dicom_cli.configuration import Configuration, Value
from dicom_cli.get import save
from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.service import Service

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def server():
    """A server whose answers a test lists, and what it was asked."""
    asked, answers = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(dict(self.headers))
            answers.pop(0)(self)

        def log_message(self, *_):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}", answers, asked
    running.shutdown()
    running.server_close()


def service(url, slept, token=""):
    values = {name: Value("", "default") for name in ("partition", "scope", "token_command")}
    return Service(Configuration({**values, "url": Value(url, "--url")}, token), sleep=slept.append)


def status(code, **headers):
    def answer(handler):
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"{}")

    return answer


def content(code, first, last, etag='"1"'):
    """All of the content announced from `first` on, and only sent up to `last`."""

    def answer(handler):
        handler.send_response(code)
        handler.send_header("ETag", etag)
        handler.send_header("Content-Length", str(len(CONTENT) - first))
        handler.end_headers()
        handler.wfile.write(CONTENT[first:last])
        handler.close_connection = True

    return answer


@pytest.mark.spec("CLI-8")
def test_it_waits_as_long_as_the_service_says(server):
    url, answers, _ = server
    answers += [status(503, Retry_After="7"), status(429, Retry_After="3"), status(200)]
    slept = []
    assert service(url, slept).ask("GET", "/v2/x").status == 200
    assert slept == [7, 3]


@pytest.mark.spec("CLI-8", "CLI-5")
def test_it_gives_up_after_some_attempts(server):
    url, answers, _ = server
    answers += [status(503)] * 5
    with pytest.raises(CommandFailed) as failed:
        service(url, []).ask("GET", "/v2/x")
    assert failed.value.code is ExitCode.NOT_REACHABLE


@pytest.mark.spec("CLI-2")
def test_a_file_that_was_cut_goes_on_where_it_ended(server, tmp_path):
    url, answers, asked = server
    answers += [content(200, 0, 100_000), content(206, 100_000, None)]
    target = tmp_path / "one.dcm"
    with pytest.raises(CommandFailed):
        save(service(url, []), "x", "*/*", target)
    assert not target.exists()
    save(service(url, []), "x", "*/*", target)
    assert target.read_bytes() == CONTENT
    assert (asked[1]["Range"], asked[1]["If-Range"]) == ("bytes=100000-", '"1"')
    assert [path.name for path in tmp_path.iterdir()] == ["one.dcm"]


@pytest.mark.spec("CLI-2")
def test_a_file_that_changed_meanwhile_is_fetched_whole(server, tmp_path):
    url, answers, _ = server
    answers += [content(200, 0, 100_000), content(200, 0, None, '"2"')]
    target = tmp_path / "one.dcm"
    with pytest.raises(CommandFailed):
        save(service(url, []), "x", "*/*", target)
    save(service(url, []), "x", "*/*", target)
    assert target.read_bytes() == CONTENT


@pytest.mark.spec("CLI-7")
def test_a_token_goes_to_the_service_alone(server):
    url, answers, asked = server
    answers += [status(200), status(200)]
    own = service("http://127.0.0.1:9/base", [], token="secret")
    own.ask("GET", f"{url}/elsewhere")
    service(url, [], token="secret").ask("GET", "/v2/x")
    assert ["Authorization" in each for each in asked] == [False, True]
