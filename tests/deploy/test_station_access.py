"""The command's side of the door: a station that anybody could reach by mistake does not start; actions are audited."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from agents.settings import Settings
from deploy.action_submission import system_user
from deploy.failures import WrongUse
from deploy.station_access import station_access
from streams.audit import read_entries
from tests.deploy.command import DONE, WRONG_USE, gem_bedside
from tests.station.ward import BED, WardInRedis


@pytest.mark.parametrize("host", ["0.0.0.0", "10.1.2.3", "::"])
def test_a_station_without_a_login_serves_its_own_machine_alone(host: str) -> None:
    with pytest.raises(WrongUse, match="GEM_BEDSIDE_STATION_AUTH"):
        station_access(Settings(), host)
    assert station_access(Settings(station_auth="open"), host).keeper.authentication == "open"
    for own in ("127.0.0.1", "::1", "localhost"):
        assert station_access(Settings(), own).keeper.authentication == "none"


def test_the_login_is_that_of_the_settings(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("k" * 32)
    roles = {"rn-12": {"icu-3": "nurse"}}
    access = station_access(
        Settings(station_auth="token", station_token_keys_file=keys, station_roles=roles, station_hosts="ward.example"),
        "0.0.0.0",
    )
    assert access.keeper.keys is not None and "ward.example" in access.hosts and "0.0.0.0" not in access.hosts
    with pytest.raises(WrongUse, match="STATION_PROXIES"):
        station_access(Settings(station_auth="proxy", station_roles=roles), "0.0.0.0")


def test_a_token_is_printed_by_who_has_the_keys_alone(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("k" * 32)
    ran = gem_bedside("token", "rn-12", "--hours", 8, station_token_keys_file=keys)
    assert ran.status == DONE and ran.out.count(".") == 2
    assert gem_bedside("token", "rn-12").status == WRONG_USE


def test_an_action_of_the_command_line_names_the_operating_systems_user(redis_url: str) -> None:
    ward = WardInRedis(redis_url)
    ward.bed()
    assert gem_bedside("beds", "standby", BED, "--by", "rn-12", redis=redis_url).status == DONE
    (entry,) = read_entries(redis.Redis.from_url(redis_url), "main")
    assert (entry["via"], entry["from"], entry["by"]) == ("command line", system_user(), "rn-12")
    (line,) = gem_bedside("audit", "--json", redis=redis_url).lines
    assert line == entry
