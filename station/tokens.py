"""Signed tokens of people: JSON Web Tokens (RFC 7519) with HMAC-SHA-256 keys out of a file.

A token names a person (`sub`), their groups, and its end (`exp`), which every token has. ``gem-bedside token`` signs
one with the first key of the file; a token of any key in it is accepted, so that a new first line rotates the keys and
its removal ends every token of the old one. The file is read again when it changes.

Kept small on purpose: a hospital with single sign-on uses a proxy that speaks OpenID Connect (`station.people`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import jwt

ALGORITHM = "HS256"
AUDIENCE = "gem-bedside-station"
MIN_KEY = 32  # characters: RFC 7518 asks for a key as long as the hash
LONGEST_H = 24 * 31  # hours that a token may be valid
LEEWAY_S = 5.0  # two machines' clocks


class TokenRejected(Exception):  # noqa: N818  (an outcome)
    """A token that is not accepted; the message says why and never repeats it."""


class KeysMissing(ValueError):  # noqa: N818  (a finding for the operator)
    """There is no usable key."""


@dataclass(frozen=True)
class Claims:
    """What a token says."""

    name: str
    groups: list[str]
    expires: float


@dataclass
class TokenKeys:
    """The keys of a file.

    Raises
    ------
    KeysMissing
        The file is missing, or holds no key of at least 32 characters.
    """

    path: Path
    _state: tuple[int, int, int] = (0, 0, 0)
    _keys: list[str] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self._read()

    def signed(self, name: str, groups: list[str], hours: float) -> str:
        """A token for a person, valid from now."""
        if not 0 < hours <= LONGEST_H:
            raise ValueError(f"a token is valid for at most {LONGEST_H} h, not {hours:g}")
        self._read()
        now = time.time()
        claims = {"sub": name, "groups": groups, "aud": AUDIENCE, "iat": int(now), "exp": int(now + hours * 3600)}
        return jwt.encode(claims, self._keys[0], ALGORITHM)

    def verified(self, token: str) -> Claims:
        """What a token says; raises `TokenRejected`."""
        try:
            self._read()
        except KeysMissing as missing:
            raise TokenRejected("tokens cannot be checked now") from missing
        why = "the token is not signed by this station's key"
        for key in self._keys:
            try:
                found = jwt.decode(
                    token,
                    key,
                    algorithms=[ALGORITHM],
                    audience=AUDIENCE,
                    leeway=LEEWAY_S,
                    options={"require": ["exp", "iat", "sub", "aud"]},
                )
            except jwt.InvalidSignatureError:
                continue
            except jwt.ExpiredSignatureError:
                why = "the login has expired"
                continue
            except jwt.PyJWTError:
                why = "the token cannot be read"
                continue
            groups = found.get("groups") or []
            if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
                raise TokenRejected("the token's groups are no list of names")
            return Claims(str(found["sub"]), groups, float(found["exp"]))
        raise TokenRejected(why)

    def _read(self) -> None:
        try:
            at = self.path.stat()
            state = at.st_ino, at.st_size, at.st_mtime_ns
            if state == self._state:
                return
            keys = [line.strip() for line in self.path.read_text().splitlines() if line.strip()]
        except OSError as error:
            raise KeysMissing(f"no keys can be read from {self.path}: {error.strerror}") from error
        if not keys or min(map(len, keys)) < MIN_KEY:
            raise KeysMissing(f"{self.path}: each line is a key of {MIN_KEY} characters or more: openssl rand -hex 32")
        self._state, self._keys = state, keys
