"""The one declaration of how clients reach Redis: address, ACL user, password file, TLS with a private authority.

The password is read again for each new connection and the certificates when their files change, so both rotate
without a restart. The address is printed without its password.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import redis
import redis.asyncio as aioredis
from redis.asyncio.connection import RedisSSLContext
from redis.asyncio.connection import SSLConnection as AsyncTlsConnection
from redis.connection import SSLConnection as TlsConnection
from redis.credentials import CredentialProvider

from streams.tls import PasswordFile, RotatingContext, TlsFiles


@dataclass(frozen=True)
class RedisAccess:
    """Address and login of Redis or Valkey.

    Parameters
    ----------
    url : str
        ``redis://host:port/0``, or ``rediss://…`` with TLS.
    username : str
        ACL user; empty: the default user.
    password_file : Path, optional
        File with the password alone; then the URL has none.
    tls : TlsFiles
        With ``rediss://``.
    """

    url: str = field(repr=False)
    username: str = ""
    password_file: Path | None = None
    tls: TlsFiles = field(default_factory=TlsFiles)

    def __post_init__(self) -> None:
        address = urlsplit(self.url)
        if address.scheme not in ("redis", "rediss", "unix"):
            raise ValueError(f"the address of Redis is redis://, rediss:// or unix://, not {address.scheme!r}")
        if self.password_file is not None and address.password:
            raise ValueError("the password of Redis is in the URL and in a file: use the file alone")
        if self.username and self.password_file is None:
            raise ValueError("the user of Redis needs a password file")
        if "ssl_" in address.query:
            raise ValueError("TLS of Redis is set by GEM_BEDSIDE_REDIS_CA_FILE and its neighbours, not in the URL")
        if self.tls.named and not self.encrypted:
            raise ValueError("certificates for Redis need an address that begins with rediss://")

    @property
    def encrypted(self) -> bool:
        """True for ``rediss://``."""
        return urlsplit(self.url).scheme == "rediss"

    @property
    def displayed(self) -> str:
        """The address for messages: no user, no password, no query.

        >>> RedisAccess("redis://ward:secret@redis.example:6379/0?password=x").displayed
        'redis://redis.example:6379/0'
        """
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    def client(self, **options: Any) -> redis.Redis:
        """A client that blocks."""
        if self.encrypted:
            options |= {"connection_class": _RotatingConnection, "tls": RotatingContext(self.tls)}
        return redis.Redis.from_url(self._plain_url, **(self._login() | options))

    def async_client(self, **options: Any) -> aioredis.Redis:
        """A client of asyncio."""
        if self.encrypted:
            options |= {"connection_class": _AsyncRotatingConnection, "tls": RotatingContext(self.tls)}
        client: aioredis.Redis = aioredis.Redis.from_url(self._plain_url, **(self._login() | options))
        return client

    @property
    def _plain_url(self) -> str:
        """Without the scheme that would choose redis-py's own TLS connection in place of ours."""
        return self.url.replace("rediss://", "redis://", 1)

    def _login(self) -> dict[str, Any]:
        if self.password_file is None:
            return {}
        return {"credential_provider": _FileCredentials(self.username, PasswordFile(self.password_file))}


def access_of(address: RedisAccess | str) -> RedisAccess:
    """A bare URL as an access without a file."""
    return RedisAccess(address) if isinstance(address, str) else address


class _FileCredentials(CredentialProvider):
    """User and password of each new connection."""

    def __init__(self, username: str, password: PasswordFile) -> None:
        self._username, self._password = username, password

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        password = self._password.read()
        return (self._username, password) if self._username else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return self.get_credentials()


class _RotatingConnection(TlsConnection):
    def __init__(self, *, tls: RotatingContext, **options: Any) -> None:
        super().__init__(**options)
        self._tls = tls

    def _wrap_socket_with_ssl(self, sock: Any) -> Any:
        return self._tls.wrap_socket(sock, server_hostname=self.host)


class _RotatingSslContext(RedisSSLContext):
    """Of a connection of asyncio: `get` is called for each attempt to connect."""

    __slots__ = ("rotating",)

    def __init__(self, rotating: RotatingContext) -> None:
        super().__init__(cert_reqs="required", check_hostname=rotating.check_hostname)
        self.rotating = rotating

    def get(self) -> Any:
        return self.rotating


class _AsyncRotatingConnection(AsyncTlsConnection):
    def __init__(self, *, tls: RotatingContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context = _RotatingSslContext(tls)
