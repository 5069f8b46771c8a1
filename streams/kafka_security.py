"""The one declaration of how clients log in to Kafka, for kafka-python, aiokafka and Faust.

=================== ============ =======================================
protocol            encryption   who the client is
=================== ============ =======================================
``PLAINTEXT``       none         nobody
``SSL``             TLS          its certificate, where it has one (mTLS)
``SASL_PLAINTEXT``  none         user and password
``SASL_SSL``        TLS          user and password
=================== ============ =======================================

The password is read again for each new connection, the certificates when their files change (`streams.tls`), so both
rotate without a restart: the old ones must stay valid until every worker has connected again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from streams.tls import PasswordFile, RotatingContext, TlsFiles

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
MECHANISMS: tuple[Mechanism, ...] = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
PASSWORD = "sasl_plain_password"  # the option's name in both clients


@dataclass(frozen=True)
class KafkaSecurity:
    """Login to Kafka.

    Parameters
    ----------
    protocol, mechanism : str
        As the broker's listener has them.
    username : str
    password_file : Path, optional
        With SASL: file with the password alone.
    tls : TlsFiles
        With TLS.
    """

    protocol: Protocol = "PLAINTEXT"
    mechanism: Mechanism = "SCRAM-SHA-512"
    username: str = ""
    password_file: Path | None = None
    tls: TlsFiles = field(default_factory=TlsFiles)

    def __post_init__(self) -> None:
        if self.sasl and not (self.username and self.password_file):
            raise ValueError(f"{self.protocol} needs a user name and a password file")
        if not self.sasl and (self.username or self.password_file):
            raise ValueError(f"{self.protocol} has no user name and password: SASL_SSL has")
        if not self.encrypted and self.tls.named:
            raise ValueError(f"{self.protocol} uses no certificates: SSL and SASL_SSL do")

    @property
    def sasl(self) -> bool:
        """True where the client has a user name and a password."""
        return self.protocol.startswith("SASL_")

    @property
    def encrypted(self) -> bool:
        """True where the connection is encrypted."""
        return self.protocol.endswith("SSL")

    @property
    def displayed(self) -> str:
        """For messages: protocol and user, no secret.

        >>> KafkaSecurity().displayed
        'PLAINTEXT'
        """
        return f"{self.protocol} {self.mechanism} as {self.username}" if self.sasl else self.protocol

    def client_options(self) -> dict[str, Any]:
        """Options of a client of kafka-python or aiokafka, whose names are the same.

        Raises
        ------
        SecurityFileError
            A file is missing or cannot be used.
        """
        options: dict[str, Any] = {"security_protocol": self.protocol}
        if self.encrypted:
            options["ssl_context"] = RotatingContext(self.tls)
        if self.sasl:
            assert self.password_file is not None
            read_passwords_anew()
            options |= {"sasl_mechanism": self.mechanism, "sasl_plain_username": self.username}
            options[PASSWORD] = PasswordFile(self.password_file)
        return options

    def faust_credentials(self) -> Any:
        """The same for ``faust.App(broker_credentials=…)``; None without any."""
        import faust

        options = self.client_options()
        context = options.get("ssl_context")
        if self.sasl:
            return faust.SASLCredentials(
                username=self.username, password=options[PASSWORD], ssl_context=context, mechanism=self.mechanism
            )
        return None if context is None else faust.SSLCredentials(context)


@functools.cache
def read_passwords_anew() -> None:
    """Let each connection of both clients read its `PasswordFile`: they keep the text of the first one otherwise."""
    from aiokafka.conn import AIOKafkaConnection
    from kafka.net.sasl import get_sasl_mechanism, register_sasl_mechanism

    for name in MECHANISMS:
        register_sasl_mechanism(name, _with_new_password(get_sasl_mechanism(name)), overwrite=True)
    AIOKafkaConnection.__init__ = _with_new_password(AIOKafkaConnection.__init__)


def _with_new_password(make: Callable[..., Any]) -> Callable[..., Any]:
    def made(*args: Any, **options: Any) -> Any:
        given = options.get(PASSWORD)
        if isinstance(given, PasswordFile):
            options[PASSWORD] = given.read()
        return make(*args, **options)

    return made
