"""Settings: environment first, TOML file second, and a page that is current."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from agents.settings import Settings, documentation

ROOT = Path(__file__).resolve().parents[2]


def test_environment_wins_over_the_file_and_the_file_over_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "site.toml"
    file.write_text('site = "north"\npartitions = 24\n')
    monkeypatch.setenv("GEM_BEDSIDE_CONFIG", str(file))
    monkeypatch.setenv("GEM_BEDSIDE_SITE", "south")
    settings = Settings()
    assert (settings.site, settings.partitions, settings.topic_prefix) == ("south", 24, "ecg.")


def test_limits_of_a_bed_are_the_sites_then_the_units_then_the_beds_then_the_peoples() -> None:
    settings = Settings(
        limits={"*": {"ASYSTOLE": {"seconds": 5}}, "icu-3": {"ASYSTOLE": {"seconds": 3.5}, "BRADY": {"rate": 45}}}
    )
    assert settings.limits_of("icu-1", "icu-1/01", {})["ASYSTOLE"].seconds == 5
    assert settings.limits_of("icu-3", "icu-3/07", {})["ASYSTOLE"].seconds == 3.5
    at_the_bed = settings.limits_of("icu-3", "icu-3/07", {"ASYSTOLE": {"seconds": 6}})
    assert (at_the_bed["ASYSTOLE"].seconds, at_the_bed["BRADY"].rate) == (6, 45)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("GEM_BEDSIDE_PARTITIONS", "0", "greater than or equal to 1"),
        ("GEM_BEDSIDE_AF_CONFIRM_S", "1", "greater than or equal to 5"),
        ("GEM_BEDSIDE_DEVICE", "tpu", "'auto', 'cpu' or 'cuda'"),
        ("GEM_BEDSIDE_LIMITS", '{"*": {"VFIB": {"on": false}}}', "lethal and cannot be switched off"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name(
    variable: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValidationError, match=says):
        Settings()


def test_a_settings_file_that_is_named_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEM_BEDSIDE_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(FileNotFoundError, match=r"none\.toml"):
        Settings()


def test_the_page_of_settings_is_current() -> None:
    page = ROOT / "docs" / "settings.md"
    assert page.read_text() == documentation(), "run: python -m agents.settings > docs/settings.md"


def test_every_setting_says_what_it_is_for() -> None:
    assert [name for name, info in Settings.model_fields.items() if not info.description] == []
