"""Debian's redis-server with TLS and ACL users: each program has its own password and no right but its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import redis

from deploy.local import LocalServer, free_port
from streams.access import REDIS_PROGRAMS, redis_rules
from streams.redis_access import RedisAccess
from tests.certificates import Authority


class SecuredRedis(LocalServer):
    """TLS with a certificate asked of each client; ``admin`` may do everything, the default user nothing."""

    def __init__(self, folder: Path) -> None:
        binary = shutil.which("redis-server")
        if binary is None:
            pytest.skip("no redis-server with TLS on this machine (Debian: apt-get install redis-server)")
        self.authority = Authority(folder / "authority")
        own = self.authority.issue("redis")
        port = free_port()
        users = folder / "users.acl"
        lines = ["user default off", "user admin on >admin ~* &* +@all"]
        lines += [f"user {name} on >{name}-first {' '.join(redis_rules(name, 'main'))}" for name in REDIS_PROGRAMS]
        users.write_text("\n".join(lines) + "\n")
        options = {
            "port": 0, "tls-port": port, "bind": "127.0.0.1", "dir": folder, "save": "", "tls-auth-clients": "yes",
            "tls-cert-file": own.cert, "tls-key-file": own.key, "tls-ca-cert-file": self.authority.ca,
            "aclfile": users,
        }  # fmt: skip
        command = [binary, *(str(part) for name, value in options.items() for part in (f"--{name}", value))]
        super().__init__("redis-tls", command, port, folder)
        self.client = self.authority.issue("client")
        self.admin = self.access("admin", "admin")

    def access(self, program: str, password: str | None = None) -> RedisAccess:
        """Access of a program, with its password in a file."""
        file = self.folder / f"{program}.redis-password"
        file.write_text(password or f"{program}-first")
        return RedisAccess(f"rediss://{self.address}/0", program, file, self.authority.files(self.client))

    def settings(self, program: str) -> dict[str, object]:
        """The settings of a program, without their prefix."""
        access = self.access(program)
        tls = access.tls
        return {
            "redis": access.url, "redis_username": program, "redis_password_file": access.password_file,
            "redis_ca_file": tls.ca, "redis_cert_file": tls.cert, "redis_key_file": tls.key,
        }  # fmt: skip

    def _answers(self) -> bool:
        try:
            with self.admin.client(socket_connect_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
