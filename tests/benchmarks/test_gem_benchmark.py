"""The GPU parts of the benchmark, with a small model on the CPU: they run to their end."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from benchmarks import gem
from models.gem.initialization import compact_config, random_gem


@pytest.mark.parametrize("options", [{}, {"prefill": 2, "compiler": "eager"}, {"fp8": True}])
def test_the_engine_gives_every_answer_in_full(options: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gem, "PROMPT", 180)
    model = random_gem(compact_config(600, hidden=64, layers=2, heads=4), seed=1)
    row = gem.engine_row(model, "small", answers=5, tokens=6, slots=2, **options)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:4] == ["small", "2", str(options.get("prefill", 1)), "5"] and float(cells[4]) > 0


def test_drafts_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gem, "DRAFTED_ECGS", 2)
    (row,) = gem.draft_rows()
    assert "2 of 2" in row or "1 of 1" in row


def test_a_part_that_was_not_asked_for_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gem, "page_rows", lambda: ["| page | 1 | 1 |"])
    text = gem.table(["pages"])
    assert "| page | 1 | 1 |" in text and text.count(gem.NOT_ASKED) == len(gem.PARTS) - 1
