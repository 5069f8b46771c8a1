"""A private certificate authority for tests, made with the ``openssl`` command."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from streams.tls import TlsFiles

EC_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Certificate:
    """PEM files of one server or client."""

    cert: Path
    key: Path

    def bundle(self, path: Path) -> Path:
        """Key and certificate in one file, as Kafka's PEM key store takes them."""
        path.write_bytes(self.key.read_bytes() + self.cert.read_bytes())
        return path

    def replace(self, other: Certificate) -> None:
        """The files of ``other`` take the place of these, each at once, as a mounted secret changes."""
        for mine, theirs in ((self.cert, other.cert), (self.key, other.key)):
            copy = mine.with_suffix(".new")
            shutil.copy(theirs, copy)
            copy.replace(mine)


class Authority:
    """Signs certificates for 127.0.0.1 and localhost."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        if shutil.which("openssl") is None:
            pytest.skip("no openssl on this machine to make certificates with")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.name = folder, name
        self.ca, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        extensions = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
        _openssl("req", "-x509", *EC_KEY, "-keyout", self._key, "-out", self.ca, "-days", 2, "-subj", f"/CN={name}",
                 *extensions)  # fmt: skip

    def issue(self, name: str) -> Certificate:
        """A certificate with the common name ``name``."""
        cert, key, request = (self.folder / f"{name}.{suffix}" for suffix in ("pem", "key", "csr"))
        _openssl("req", *EC_KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}",
                 "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")  # fmt: skip
        _openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._key, "-CAcreateserial", "-days", 2,
                 "-copy_extensions", "copy", "-out", cert)  # fmt: skip
        return Certificate(cert, key)

    def files(self, certificate: Certificate | None = None) -> TlsFiles:
        """What a client needs."""
        if certificate is None:
            return TlsFiles(ca=self.ca)
        return TlsFiles(ca=self.ca, cert=certificate.cert, key=certificate.key)


def _openssl(*arguments: object) -> None:
    # No configuration of the machine: its extensions would come on top.
    environment = os.environ | {"OPENSSL_CONF": "/dev/null"}
    command = ["openssl", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
