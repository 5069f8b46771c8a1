"""Who a request is from, and what they may do: a person with a role in each unit.

| setting `GEM_BEDSIDE_STATION_AUTH` | the person is named by |
|---|---|
| `none`, `open` | nobody: the page asks for an ID, and everybody may do what a nurse may |
| `proxy` | a header of a proxy, accepted only from its address |
| `token` | a signed token (`station.tokens`), in the cookie of the page or ``Authorization: Bearer`` |

A role holds those before it: ``viewer`` sees a unit, ``nurse`` acts on its alerts and beds, ``admin`` also changes
alarm limits.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from starlette.requests import HTTPConnection

from station.tokens import TokenKeys, TokenRejected

ROLES = ("viewer", "nurse", "admin")
EVERY = "*"
COOKIE = "gem_bedside_token"
MAX_NAME = 64  # of a person; what an action's `by` may hold
ROLE_OF_ACTION = {
    "acknowledge": "nurse",
    "silence": "nurse",
    "admit": "nurse",
    "discharge": "nurse",
    "standby": "nurse",
    "resume": "nurse",
    "baseline": "nurse",
    "limits": "admin",
}

Authentication = Literal["none", "open", "proxy", "token"]
Roles = Mapping[str, Mapping[str, str]]


class NotLoggedIn(Exception):  # noqa: N818  (answered with 401)
    """Nobody is named, or their name is not accepted; the message says why."""


@dataclass(frozen=True)
class Person:
    """Who a request is from.

    Parameters
    ----------
    name : str
        Empty: nobody is logged in.
    roles : mapping
        Role by unit; ``*`` is each unit.
    expires : float or None
        End of the login, seconds since 1970.
    """

    name: str = ""
    roles: Mapping[str, str] = field(default_factory=dict)
    expires: float | None = None

    def role(self, unit: str) -> str | None:
        """The role in a unit: the higher one of its own and of each unit's.

        >>> Person("rn-12", {"icu-3": "nurse", "*": "viewer"}).role("icu-3")
        'nurse'
        """
        found = [self.roles[name] for name in (unit, EVERY) if name in self.roles]
        return max(found, key=ROLES.index, default=None)

    def sees(self, unit: str) -> bool:
        """True where the person may see a unit."""
        return self.role(unit) is not None

    def places(self, sites: Sequence[str]) -> frozenset[str] | None:
        """What the person may see, as ``<site>/<unit>``; None: everything.

        >>> sorted(Person("rn-12", {"icu-3": "nurse"}).places(["main"]))
        ['main/icu-3']
        """
        if EVERY in self.roles:
            return None
        return frozenset(f"{site}/{unit}" for site in sites for unit in self.roles)

    def may(self, action: str, unit: str) -> bool:
        """True where the person may do an action in a unit."""
        role, needed = self.role(unit), ROLE_OF_ACTION.get(action)
        return role is not None and needed is not None and ROLES.index(role) >= ROLES.index(needed)


NOBODY = Person("", {EVERY: "nurse"})  # of `none` and `open`


@dataclass(frozen=True)
class Doorkeeper:
    """Names the person of a request.

    Parameters
    ----------
    authentication : {"none", "open", "proxy", "token"}
    roles : mapping
        Roles by person or ``@group``, and unit.
    proxies : str
        Addresses and networks, with commas.
    user_header, groups_header : str
        Headers of the proxy.
    keys : TokenKeys, optional
        Of the tokens.
    """

    authentication: Authentication = "none"
    roles: Roles = field(default_factory=dict)
    proxies: str = ""
    user_header: str = "X-Forwarded-User"
    groups_header: str = "X-Forwarded-Groups"
    keys: TokenKeys | None = None

    def __post_init__(self) -> None:
        _networks(self.proxies)
        if self.authentication == "proxy" and not self.proxies:
            raise ValueError("GEM_BEDSIDE_STATION_AUTH=proxy needs the proxy's address in GEM_BEDSIDE_STATION_PROXIES")
        if self.authentication == "token" and self.keys is None:
            raise ValueError("GEM_BEDSIDE_STATION_AUTH=token needs GEM_BEDSIDE_STATION_TOKEN_KEYS_FILE")
        if self.authentication in ("proxy", "token") and not self.roles:
            raise ValueError(
                "GEM_BEDSIDE_STATION_ROLES is empty: nobody could see a unit; "
                'everybody who is logged in becomes a viewer by {"*": {"*": "viewer"}}'
            )

    @property
    def logs_in(self) -> bool:
        """True where people are known by name."""
        return self.authentication in ("proxy", "token")

    def person(self, request: HTTPConnection) -> Person:
        """The person of a request; raises `NotLoggedIn`."""
        if not self.logs_in:
            return NOBODY
        if self.authentication == "proxy":
            return self._of_proxy(request)
        bearer = request.headers.get("authorization", "")
        token = bearer[7:].strip() if bearer[:7].lower() == "bearer " else request.cookies.get(COOKIE, "")
        return self.of_token(token)

    def of_token(self, token: str) -> Person:
        """The person of a token; raises `NotLoggedIn`."""
        if not token:
            raise NotLoggedIn("nobody is logged in")
        assert self.keys is not None
        try:
            claims = self.keys.verified(token)
        except TokenRejected as rejected:
            raise NotLoggedIn(str(rejected)) from rejected
        return self._known(claims.name, claims.groups, claims.expires)

    def from_proxy(self, address: str) -> bool:
        """True for the address of a configured proxy."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in _networks(self.proxies))

    def _of_proxy(self, request: HTTPConnection) -> Person:
        address = request.client.host if request.client else ""
        if not self.from_proxy(address):
            raise NotLoggedIn("requests come through the proxy that logs people in")
        names = request.headers.getlist(self.user_header)
        if len(names) != 1 or not names[0].strip():
            raise NotLoggedIn(f"the proxy named {len(names)} people in {self.user_header}, not one")
        groups = ",".join(request.headers.getlist(self.groups_header)).split(",")
        return self._known(names[0].strip(), [group.strip() for group in groups if group.strip()], None)

    def _known(self, name: str, groups: list[str], expires: float | None) -> Person:
        if len(name) > MAX_NAME or not name.isprintable():
            raise NotLoggedIn(f"a person's name has 1 to {MAX_NAME} printable characters")
        roles: dict[str, str] = {}
        for holder in (EVERY, *(f"@{group}" for group in groups), name):
            for unit, role in self.roles.get(holder, {}).items():
                roles[unit] = max(role, roles.get(unit, role), key=ROLES.index)
        if not roles:
            raise NotLoggedIn(f"{name} has no role here")
        return Person(name, roles, expires)


def _networks(text: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    try:
        return [ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise ValueError(f"GEM_BEDSIDE_STATION_PROXIES: {error}") from None
