"""Waiting in a real browser for what a test expects."""

from __future__ import annotations

import time
from typing import Any


def until(page: Any, condition: str, timeout_s: float = 30.0) -> float:
    """Wait for a JavaScript condition; returns the seconds that it took.

    The driver's own waiting evaluates text in the page, which its content security policy forbids.
    """
    began = time.monotonic()
    while not page.evaluate(condition):
        assert time.monotonic() - began < timeout_s, f"not within {timeout_s:g} s: {condition}"
        page.wait_for_timeout(50)
    return time.monotonic() - began
