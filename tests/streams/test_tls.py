"""TLS files that are read again: what a client presents and trusts after its files have changed."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from streams.tls import PasswordFile, RotatingContext, SecurityFileError, TlsFiles
from tests.certificates import Authority, Certificate


@asynccontextmanager
async def server(own: Certificate, trusted: Path) -> AsyncIterator[int]:
    """Answers each client with the common name of its certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.cert, own.key)
    context.load_verify_locations(trusted)
    context.verify_mode = ssl.CERT_REQUIRED

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        subject = writer.get_extra_info("peercert")["subject"]
        writer.write(dict(pair for part in subject for pair in part)["commonName"].encode() + b"\n")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


async def name_seen(port: int, context: ssl.SSLContext) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        return (await reader.readline()).decode().strip()
    finally:
        writer.close()


async def test_a_new_client_certificate_is_used_by_the_next_connection(tmp_path: Path) -> None:
    # Given a client whose context was made once
    authority = Authority(tmp_path)
    client = authority.issue("monitor-1")
    context = RotatingContext(authority.files(client))
    async with server(authority.issue("server"), authority.ca) as port:
        assert await name_seen(port, context) == "monitor-1"
        # When certificate and key are replaced, then the next connection presents the new one
        client.replace(authority.issue("monitor-2"))
        assert await name_seen(port, context) == "monitor-2"
        # When the certificate is replaced and its key not yet, then the previous pair stays in use
        third = authority.issue("monitor-3")
        client.cert.write_bytes(third.cert.read_bytes())
        assert await name_seen(port, context) == "monitor-2"
        client.key.write_bytes(third.key.read_bytes())
        assert await name_seen(port, context) == "monitor-3"


async def test_a_new_authority_replaces_the_old_one(tmp_path: Path) -> None:
    old, new = Authority(tmp_path / "old"), Authority(tmp_path / "new")
    client = old.issue("publisher")
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(old.ca.read_bytes())
    context = RotatingContext(TlsFiles(trusted, client.cert, client.key))
    async with server(new.issue("server"), old.ca) as port:
        with pytest.raises(ssl.SSLCertVerificationError):
            await name_seen(port, context)
        trusted.write_bytes(new.ca.read_bytes())
        assert await name_seen(port, context) == "publisher"
    async with server(old.issue("server"), old.ca) as port:
        with pytest.raises(ssl.SSLCertVerificationError):  # the old authority is trusted no longer
            await name_seen(port, context)


@pytest.mark.parametrize(
    ("content", "says"), [(None, "cannot be read"), (b"", "no usable"), (b"no certificate", "no usable")]
)
def test_a_file_that_cannot_be_used_is_named_at_the_start(content: bytes | None, says: str, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SecurityFileError, match=rf"ca\.pem.*{says}"):
        RotatingContext(TlsFiles(ca=file))


def test_a_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="file of its key"):
        TlsFiles(cert=tmp_path / "client.pem")


def test_a_password_is_read_again_and_never_printed(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("first\n")
    password = PasswordFile(file)
    assert (str(password) == "first", password.read()) == (True, "first")
    file.write_text("second\n")
    assert password.read() == "second"
    assert "first" not in repr({"password": password})
    os.truncate(file, 0)  # as while somebody writes it
    assert password.read() == "first"
    with pytest.raises(SecurityFileError, match=r"password is empty"):
        PasswordFile(file)
