"""Where the tests find recordings, fixtures, scorers and Apache Kafka; a test that lacks them skips and says so."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _folder(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable, ROOT.parent / "shared" / default)).resolve()


def _needed(variable: str, default: str) -> Path:
    path = _folder(variable, default)
    if not path.is_dir():
        pytest.skip(f"{variable}: no folder {path.name} to test against")
    return path


@pytest.fixture(scope="session")
def data_home() -> Path:
    """Folder of real recordings with labels (setting GEM_BEDSIDE_TEST_DATA)."""
    return _needed("GEM_BEDSIDE_TEST_DATA", "data")


@pytest.fixture(scope="session")
def parity_home() -> Path:
    """Folder of fixtures made by the GEM reference (setting GEM_BEDSIDE_TEST_FIXTURES)."""
    return _needed("GEM_BEDSIDE_TEST_FIXTURES", "gem-reference/fixtures")


@pytest.fixture(scope="session")
def score_home() -> Path:
    """Folder of the scorers (setting GEM_BEDSIDE_TEST_SCORE)."""
    return _needed("GEM_BEDSIDE_TEST_SCORE", "score")


@pytest.fixture(scope="session")
def kafka_home() -> Path:
    """Folder of Apache Kafka (setting GEM_BEDSIDE_TEST_KAFKA_HOME)."""
    return _needed("GEM_BEDSIDE_TEST_KAFKA_HOME", "kafka")
