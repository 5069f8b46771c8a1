"""TLS of the clients, with files that are read again when they change: certificates rotate without a restart.

Every new connection compares the files with those that were read. Open connections go on. Where new files do not fit
together (the certificate was replaced, its key not yet), the connection uses the previous ones, and the next
connection tries again.
"""

from __future__ import annotations

import logging
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

log = logging.getLogger(__name__)


class SecurityFileError(ValueError):
    """A certificate, key or password file is missing or cannot be used; the message names the file."""


@dataclass(frozen=True)
class TlsFiles:
    """Files of one client.

    Parameters
    ----------
    ca : Path, optional
        Certificates that are trusted (PEM); by default those of the system.
    cert, key : Path, optional
        The client's own certificate and key (PEM, without a password); both or neither.
    check_hostname : bool
        The server's certificate must name the host. Off: any certificate of the trusted authorities is accepted.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    check_hostname: bool = True

    def __post_init__(self) -> None:
        if (self.cert is None) != (self.key is None):
            raise ValueError("a client certificate needs both its file and the file of its key")

    @property
    def named(self) -> tuple[Path, ...]:
        """The files that are used."""
        return tuple(path for path in (self.ca, self.cert, self.key) if path is not None)


class RotatingContext(ssl.SSLContext):
    """An `ssl.SSLContext` of a client that follows its files.

    Raises
    ------
    SecurityFileError
        A file is missing or unusable at the start.
    """

    _files: TlsFiles
    _lock: threading.Lock
    _read: tuple[tuple[int, int, int], ...]
    _inner: ssl.SSLContext

    def __new__(cls, files: TlsFiles) -> Self:
        """A context with the files as they are now."""
        context = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        context._files = files
        context._lock = threading.Lock()
        context._read, context._inner = _state(files), _loaded(files)
        context.check_hostname = files.check_hostname  # what asyncio asks of the context itself
        return context

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """A connection of asyncio, with the newest files."""
        return self.newest().wrap_bio(*args, **options)

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        """A connection of a socket, with the newest files."""
        return self.newest().wrap_socket(*args, **options)

    def newest(self) -> ssl.SSLContext:
        """The context of the newest files that fit together."""
        with self._lock:
            try:
                found = _state(self._files)
                if found != self._read:
                    self._inner, self._read = _loaded(self._files), found
                    log.info("certificates are read again: %s", ", ".join(map(str, self._files.named)))
            except SecurityFileError as error:
                log.warning("the previous certificates stay in use: %s", error)
            return self._inner


class PasswordFile(str):
    """A password out of a file. Clients that know this class call `read` for each connection; it prints as dots."""

    __slots__ = ("path",)
    path: Path

    def __new__(cls, path: Path) -> Self:
        """The password as it is now; raises `SecurityFileError` where there is none."""
        found = super().__new__(cls, _password(path))
        found.path = path
        return found

    def read(self) -> str:
        """The password as it is now; while the file cannot be read, the one that was read first."""
        try:
            return _password(self.path)
        except SecurityFileError as error:
            log.warning("the previous password stays in use: %s", error)
            return str.__str__(self)

    def __repr__(self) -> str:
        return "'…'"


def _password(path: Path) -> str:
    try:
        found = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SecurityFileError(f"no password can be read from {path}: {type(error).__name__}") from error
    if not found:
        raise SecurityFileError(f"the password file {path} is empty: write the password into it")
    return found


def _state(files: TlsFiles) -> tuple[tuple[int, int, int], ...]:
    try:
        found = [path.stat() for path in files.named]
    except OSError as error:
        raise SecurityFileError(f"{error.filename} cannot be read: {error.strerror}") from error
    return tuple((at.st_ino, at.st_size, at.st_mtime_ns) for at in found)


def _loaded(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = files.check_hostname
    try:
        if files.ca is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(cafile=files.ca)
        if files.cert is not None:
            context.load_cert_chain(files.cert, files.key, password=_no_password)
    except (OSError, ssl.SSLError) as error:
        names = ", ".join(map(str, files.named))
        raise SecurityFileError(f"{names}: no usable certificates and key ({error}); PEM is expected") from error
    return context


def _no_password() -> bytes:
    """Of an encrypted key: without this, OpenSSL asks on the terminal."""
    return b""
