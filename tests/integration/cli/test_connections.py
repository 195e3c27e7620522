"""The command behind a proxy, and to a service whose certificate an authority of the site's own has signed (CLI-7)."""

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dicom_cli.configuration import Configuration, Value
from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.service import Service

NAME = "dicom.example"
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


class Handler(BaseHTTPRequestHandler):
    """Answers `{}`, and as a proxy connects whoever asks to the one server there is."""

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_CONNECT(self):
        self.server.asked.append((self.path, dict(self.headers)))
        self.send_response(200)
        self.end_headers()
        with socket.create_connection(self.server.behind) as far:
            threading.Thread(target=passed, args=(far, self.connection), daemon=True).start()
            passed(self.connection, far)
        self.close_connection = True

    def log_message(self, *_):
        pass


def passed(source, target):
    """Hands on what comes until it ends."""
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return  # the other side has ended


def running(context=None):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.daemon_threads = [], True
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    return monkeypatch


@pytest.fixture
def proxy(environment):
    server = running()
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        environment.setenv(name, f"http://user:word@127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def guarded(tmp_path):
    """A server with a certificate that nobody knows, and the file with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName(NAME), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "authority.pem").write_bytes(pem)
    (tmp_path / "server.pem").write_bytes(private + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    server = running(context)
    yield server, tmp_path / "authority.pem"
    server.shutdown()
    server.server_close()


def service(url):
    values = {name: Value("", "default") for name in ("partition", "scope", "token_command")}
    return Service(Configuration({**values, "url": Value(url, "--url")}, "token"), sleep=lambda _: None)


@pytest.mark.spec("CLI-7")
def test_plain_requests_go_to_the_proxy_with_the_whole_address(proxy):
    assert service(f"http://{NAME}/base").ask("GET", "/v2/studies", query={"limit": "1"}).status == 200

    [(path, headers)] = proxy.asked
    assert path == f"http://{NAME}/base/v2/studies?limit=1"
    assert headers["Proxy-Authorization"] == "Basic dXNlcjp3b3Jk"
    assert headers["Host"] == NAME


@pytest.mark.spec("CLI-7")
def test_through_a_proxy_tls_reaches_to_the_service_itself(proxy, guarded, environment):
    server, authority = guarded
    proxy.behind = ("127.0.0.1", server.server_port)
    environment.setenv("SSL_CERT_FILE", str(authority))

    assert service(f"https://{NAME}").ask("GET", "/v2/studies").status == 200

    [(path, sent)] = proxy.asked
    assert (path, sent["Proxy-Authorization"]) == (f"{NAME}:443", "Basic dXNlcjp3b3Jk")
    assert "Authorization" not in sent
    [(path, sent)] = server.asked
    assert (path, sent["Authorization"]) == ("/v2/studies", "Bearer token")
    assert "Proxy-Authorization" not in sent


@pytest.mark.spec("CLI-5", "CLI-7")
def test_a_certificate_of_ones_own_is_refused_until_it_is_named(guarded, environment):
    server, authority = guarded
    url = f"https://127.0.0.1:{server.server_port}"

    with pytest.raises(CommandFailed, match="SSL_CERT_FILE") as failed:
        service(url).ask("GET", "/v2/studies")
    assert failed.value.code is ExitCode.NOT_REACHABLE
    assert server.asked == []

    environment.setenv("SSL_CERT_FILE", str(authority))
    assert service(url).ask("GET", "/v2/studies").status == 200
