"""The limits that can be set at the nurse station: default and bounds by code, for its page and its checks."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from models.arrhythmia.codes import CODES
from models.arrhythmia.limits import RULES


def limit_table() -> dict[str, dict[str, Any]]:
    """Code to ``title``, ``priority``, ``kind``, ``lethal``, ``default`` (part → value) and ``bounds``.

    >>> limit_table()["ASYSTOLE"]["bounds"]
    {'seconds': [3, 6]}
    """
    table = {}
    for code, rule in RULES.items():
        alarm = CODES[code]
        table[code] = {
            "title": alarm.title,
            "priority": alarm.priority,
            "kind": alarm.kind,
            "lethal": alarm.lethal,
            "default": {field.name: getattr(rule.default, field.name) for field in fields(rule.default)},
            "bounds": {part: list(bounds) for part, bounds in rule.bounds.items()},
        }
    return table
