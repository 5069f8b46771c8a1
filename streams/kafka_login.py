"""One connection to Kafka that says at once why there is none: kafka-python tries for half a minute and names no cause.

>>> check_login("127.0.0.1:1", KafkaSecurity())
Traceback (most recent call last):
    ...
streams.kafka_login.KafkaAway: no broker answers at 127.0.0.1:1 (ConnectionRefusedError)
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError

from streams.kafka_security import KafkaSecurity

TIMEOUT_S = 5.0  # of one address; a broker answers within milliseconds
LOGIN_WORDS = ("Authentication", "Authorization", "Sasl")
SETTINGS = "GEM_BEDSIDE_KAFKA_PROTOCOL, _USERNAME, _PASSWORD_FILE, _CA_FILE and their neighbours (docs/security.md)"


class KafkaAway(ConnectionError):  # noqa: N818  (what was found)
    """No broker answers."""


class LoginRejected(RuntimeError):  # noqa: N818  (what was found)
    """A broker does not accept this client, or the client does not accept the broker."""


def is_login_error(error: BaseException) -> bool:
    """True where a broker does not accept who the client says it is, or what it wants to do."""
    return any(word in type(error).__name__ for word in LOGIN_WORDS)


def check_login(servers: str, security: KafkaSecurity, timeout_s: float = TIMEOUT_S) -> None:
    """Connect and log in to the first broker that answers.

    Parameters
    ----------
    servers : str
        ``host:port,…``.
    security : KafkaSecurity
    timeout_s : float
        Of each address.

    Raises
    ------
    KafkaAway
        No broker answers.
    LoginRejected
        The login failed; the text names the cause and the settings.
    SecurityFileError
        A certificate or password file cannot be used.
    """
    options = security.client_options()
    asyncio.run(_try_each([part.strip() for part in servers.split(",")], security, options, timeout_s))


async def _try_each(addresses: list[str], security: KafkaSecurity, options: dict[str, Any], timeout_s: float) -> None:
    causes: list[tuple[str, Exception]] = []
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            async with asyncio.timeout(timeout_s):
                connection = await create_conn(
                    host or address, int(port or 9092), request_timeout_ms=round(timeout_s * 1000), **options
                )
            connection.close()
            return
        except ssl.SSLError as error:
            why = getattr(error, "verify_message", "") or error.reason or type(error).__name__
            raise LoginRejected(f"{address}: no TLS ({why}): check {SETTINGS}") from error
        except (KafkaError, OSError, ValueError) as error:
            if is_login_error(error):
                raise LoginRejected(
                    f"{address} does not accept {security.displayed} ({type(error).__name__}): check {SETTINGS}"
                ) from error
            causes.append((address, error))
    address, first = causes[0]
    name = type(first).__name__
    if isinstance(first, KafkaError | ConnectionResetError):  # it accepted the connection, and closed it
        raise LoginRejected(f"{address} answers no {security.displayed} ({name}): check {SETTINGS}") from first
    raise KafkaAway(f"no broker answers at {', '.join(addresses)} ({name})") from first
