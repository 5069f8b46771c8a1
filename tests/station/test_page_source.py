"""The page's files as they are written; eslint (`make lint`) checks the JavaScript further where node is there."""

from __future__ import annotations

from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "station" / "page"
SOURCES = sorted(path for path in PAGE.iterdir() if path.suffix in (".js", ".css", ".html"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_line_is_longer_than_120_characters(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [k for k, line in enumerate(lines, 1) if len(line) > 120] == []


@pytest.mark.parametrize("path", [path for path in SOURCES if path.suffix == ".js"], ids=lambda path: path.name)
def test_no_module_writes_markup(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [name for name in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write") if name in text] == []
