"""What the storage tests share."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from devhost.azurite.emulator import Azurite, azurite_command
from shared.storage.connection import StorageConnection


@pytest.fixture(scope="session")
def connection(azurite: Azurite) -> StorageConnection:
    """The emulator as an adapter sees it."""
    return StorageConnection.from_connection_string(azurite.connection_string)


@pytest.fixture
def prefix() -> str:
    """A name that no other test has: letters and digits, beginning with a letter."""
    return "t" + secrets.token_hex(6)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The files of an authority's certificate, of a server's that it signed, and of the server's key."""
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority, server = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("test authority", "127.0.0.1")
    )
    now = datetime.now(UTC)

    def signed(subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_authority: bool) -> bytes:
        unsigned = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    key_cert_sign=is_authority,
                    crl_sign=is_authority,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
        )
        return unsigned.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    folder = tmp_path_factory.mktemp("tls")
    files = folder / "authority.pem", folder / "server.pem", folder / "key.pem"
    files[0].write_bytes(signed(authority, authority_key, is_authority=True))
    files[1].write_bytes(signed(server, server_key, is_authority=False))
    files[2].write_bytes(
        server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return files


@pytest.fixture(scope="session")
async def token_ports(certificate: tuple[Path, Path, Path]) -> AsyncIterator[dict[str, str]]:
    """An emulator that wants TLS and tokens: the port of each service."""
    options = [text for service in ("blob", "queue", "table") for text in (f"--{service}Port", "0")]
    process = await asyncio.create_subprocess_exec(
        azurite_command(os.environ), *options, "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry",
        "--silent", "--oauth", "basic", "--cert", str(certificate[1]), "--key", str(certificate[2]),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip  # read at once: one item a line says no more
    try:
        assert process.stdout
        found: dict[str, str] = {}
        async with asyncio.timeout(60):
            while len(found) < 3:
                line = (await process.stdout.readline()).decode()
                assert line, "azurite ended"
                if "successfully listening at" in line:
                    found[line.split()[1]] = line.strip().rpartition(":")[2]
        yield found
    finally:
        process.terminate()
        await process.communicate()
