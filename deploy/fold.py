"""The setting ``GEM_BEDSIDE_FOLD`` for the commands that analyse records."""

from __future__ import annotations

import os

FOLD_SETTING = "GEM_BEDSIDE_FOLD"


def fold_asked() -> str | None:
    """The fold that the weights must not have been trained on; None for the shipped weights."""
    return os.environ.get(FOLD_SETTING) or None
