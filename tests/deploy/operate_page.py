"""The commands of docs/operate.md: the code blocks, by the place where they are to be run."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operate.md"
PLACES = {"stack", "cluster", "compose"}
_BLOCK = re.compile(r"^(?P<indent> *)```(?P<kind>.*)\n(?P<body>(?:.*\n)*?) *```$", re.MULTILINE)


def blocks() -> list[tuple[str, list[str]]]:
    """Place and commands of each block, in the page's order."""
    found = []
    for match in _BLOCK.finditer(PAGE.read_text()):
        kind = match["kind"].split()
        place = kind[1] if kind[:1] == ["sh"] and len(kind) == 2 else f"?{match['kind']}"
        found.append((place, [line for line in textwrap.dedent(match["body"]).splitlines() if line.strip()]))
    return found


def commands(place: str) -> list[str]:
    """All commands of a place."""
    return [line for kind, lines in blocks() if kind == place for line in lines]
