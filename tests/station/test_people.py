"""Who a request is from: proxies that are trusted, tokens that are signed, roles by unit."""

from __future__ import annotations

import time
from pathlib import Path

import jwt
import pytest
from starlette.requests import HTTPConnection

from station.people import COOKIE, Doorkeeper, NotLoggedIn, Person
from station.tokens import ALGORITHM, AUDIENCE, KeysMissing, TokenKeys

PROXY, ELSEWHERE = "10.1.2.3", "10.9.9.9"
ROLES = {"rn-12": {"icu-3": "nurse"}, "@physicians": {"*": "admin"}, "@icu": {"icu-3": "viewer", "icu-4": "nurse"}}
KEY, NEW_KEY = "k" * 32, "n" * 64


def request(address: str = PROXY, **headers: str) -> HTTPConnection:
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "client": (address, 5), "headers": raw})


def proxy(**values: object) -> Doorkeeper:
    return Doorkeeper("proxy", ROLES, "10.1.2.0/24, ::1", **values)  # type: ignore[arg-type]


def test_a_person_is_who_the_proxy_says() -> None:
    person = proxy().person(request(x_forwarded_user="rn-12", x_forwarded_groups="icu, canteen"))
    assert (person.name, person.roles) == ("rn-12", {"icu-3": "nurse", "icu-4": "nurse"})
    assert person.may("acknowledge", "icu-3") and not person.may("limits", "icu-3")
    assert not person.sees("icu-5")
    assert proxy().person(request(x_forwarded_user="dr-1", x_forwarded_groups="physicians")).may("limits", "icu-9")


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        (ELSEWHERE, {"x_forwarded_user": "rn-12"}),  # not the proxy's address
        (ELSEWHERE, {"x_forwarded_user": "rn-12", "x_forwarded_for": PROXY}),
        (PROXY, {}),
        (PROXY, {"x_forwarded_user": " "}),
        (PROXY, {"x_forwarded_user": "mallory"}),  # no role
        (PROXY, {"x_forwarded_user": "rn-12" + "x" * 60}),
        (PROXY, {"authorization": "Bearer x", "cookie": f"{COOKIE}=x"}),
    ],
)
def test_nobody_else_is_accepted(address: str, headers: dict[str, str]) -> None:
    with pytest.raises(NotLoggedIn):
        proxy().person(request(address, **headers))


def test_two_names_in_one_request_are_none() -> None:
    both = [(b"x-forwarded-user", b"rn-12"), (b"x-forwarded-user", b"dr-1")]
    with pytest.raises(NotLoggedIn, match="named 2 people"):
        proxy().person(HTTPConnection({"type": "http", "client": (PROXY, 5), "headers": both}))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"authentication": "proxy", "roles": ROLES}, "STATION_PROXIES"),
        ({"authentication": "proxy", "roles": ROLES, "proxies": "proxy.example"}, "STATION_PROXIES"),
        ({"authentication": "proxy", "proxies": PROXY}, "STATION_ROLES is empty"),
        ({"authentication": "token", "roles": ROLES}, "TOKEN_KEYS_FILE"),
    ],
)
def test_a_login_that_could_let_nobody_or_anybody_in_is_refused(values: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Doorkeeper(**values)  # type: ignore[arg-type]


@pytest.fixture
def keys(tmp_path: Path) -> TokenKeys:
    file = tmp_path / "keys"
    file.write_text(f"{KEY}\n")
    return TokenKeys(file)


def test_a_token_names_its_person_until_it_expires(keys: TokenKeys) -> None:
    keeper = Doorkeeper("token", ROLES, keys=keys)
    token = keys.signed("rn-12", ["icu"], hours=1)
    for headers in ({"authorization": f"Bearer {token}"}, {"cookie": f"{COOKIE}={token}"}):
        person = keeper.person(request(ELSEWHERE, **headers))
        assert (person.name, person.role("icu-4")) == ("rn-12", "nurse")
        assert person.expires is not None and person.expires - time.time() == pytest.approx(3600, abs=60)


def forged(**changes: object) -> str:
    now = int(time.time())
    claims = {
        "sub": "rn-12",
        "groups": [],
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + 36_000,
    } | changes  # made long before it is used
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, KEY, ALGORITHM)


@pytest.mark.parametrize(
    ("token", "says"),
    [
        ("", "nobody is logged in"),
        ("x.y.z", "cannot be read"),
        (forged(exp=int(time.time()) - 60), "expired"),
        (forged(exp=None), "cannot be read"),
        (forged(aud="another"), "cannot be read"),
        (forged(sub=None), "cannot be read"),
        (forged(groups="physicians"), "groups"),
        (jwt.encode({"sub": "rn-12", "aud": AUDIENCE, "iat": 1, "exp": 2**33}, "m" * 32, ALGORITHM), "not signed"),
        (jwt.encode({"sub": "rn-12", "aud": AUDIENCE, "iat": 1, "exp": 2**33}, None, "none"), "cannot be read"),
    ],
)
def test_other_tokens_are_rejected(token: str, says: str, keys: TokenKeys) -> None:
    with pytest.raises(NotLoggedIn, match=says) as rejected:
        Doorkeeper("token", ROLES, keys=keys).of_token(token)
    assert not token or token not in str(rejected.value)


def test_keys_rotate_without_a_restart(keys: TokenKeys) -> None:
    old = keys.signed("rn-12", [], hours=1)
    keys.path.write_text(f"{NEW_KEY}\n{KEY}\n")
    new = keys.signed("rn-12", [], hours=1)
    assert keys.verified(old).name == keys.verified(new).name == "rn-12"
    keys.path.write_text(f"{NEW_KEY}\n")
    keeper = Doorkeeper("token", ROLES, keys=keys)
    assert keeper.of_token(new).name == "rn-12"
    with pytest.raises(NotLoggedIn, match="not signed"):
        keeper.of_token(old)
    keys.path.write_text("short\n")
    with pytest.raises(NotLoggedIn, match="cannot be checked"):
        keeper.of_token(new)
    with pytest.raises(KeysMissing, match="32 characters"):
        TokenKeys(keys.path)
    assert KEY not in repr(keys) and NEW_KEY not in repr(keys)


def test_what_a_person_may_see_in_several_sites() -> None:
    assert Person("x", {"icu-3": "nurse"}).places(["main", "north"]) == {"main/icu-3", "north/icu-3"}
    assert Person("x", {"*": "viewer"}).places(["main"]) is None
    assert Person().places(["main"]) == frozenset()
