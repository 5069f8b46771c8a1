"""The tables of `tables.toml`: measures, findings, pairs of opposites and alarm codes; the test of a finding."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_TABLES: dict[str, Any] = tomllib.loads((Path(__file__).parent / "tables.toml").read_text("utf-8"))
MEASURES: dict[str, Any] = _TABLES["measures"]
FINDINGS: dict[str, Any] = _TABLES["findings"]
CODES: dict[str, Any] = {name: {"kind": "physiological"} | row for name, row in _TABLES["codes"].items()}
SPLIT, GROUP, NUMBER, NEGATION, IN_A_ROW = (re.compile(x) for x in _TABLES["syntax"].values())
PAIRS = [(a, b) for a, others in _TABLES["pairs"].items() for b in others.split(",")]
WORDS = {name: re.compile(row["words"]) for name, row in FINDINGS.items()}


def holds(name: str, values: Mapping[str, float | None]) -> bool | None:
    """Whether the values make the finding true; None where they do not decide."""
    row = FINDINGS[name]
    ranges = row.get("all", row.get("any", {}))
    inside = [None if (v := values.get(key)) is None else low <= v <= high for key, (low, high) in ranges.items()]
    if "any" in row:
        return True if True in inside else False if False in inside else None
    return False if False in inside else None if None in inside or not inside else True
