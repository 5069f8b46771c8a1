"""How much signal a worker that takes over reads again before it goes live.

The take-over (docs/delivery.md) reads 120 s, or 60 s more than the longest time to confirm. On many beds and a slow
machine that alone would take longer than an alarm may: then it is as much as fits into `BUDGET_S`, but never less than
`LEAST_S`. Without that much, a condition that began just before the committed offset is lost: a heart that stands still
since then shows a fresh analysis no beat to count from. Conditions that are confirmed over minutes are confirmed anew
where less than the whole was read; an alert that is on stays on meanwhile.
"""

from __future__ import annotations

from agents.settings import Settings

BUDGET_S = 5.0  # with the session's 6 s a fail-over stays near the 10 s that an alarm may take
LEAST_S = 35.0  # beat detection forgets within 30 s, and the fastest lethal rule needs 4 s of what came before
LONGER_THAN_CONFIRM_S = 60.0
GUESS_S = 0.01  # a bed's second takes about this long, until it has been measured
SMOOTHING = 0.02


class WarmUp:
    """Measures what a second of a bed costs, and says how many can be afforded."""

    def __init__(self, settings: Settings) -> None:
        self._cost_s = GUESS_S
        self._spent_s = 0.0
        self._wanted_s = max(settings.warm_s, max(settings.af_confirm_s, settings.qt_confirm_s) + LONGER_THAN_CONFIRM_S)

    def begin(self) -> None:
        """Partitions are taken over: the budget is whole."""
        self._spent_s = 0.0

    def add_cost(self, seconds: float, of_signal_s: float) -> None:
        """So much signal of a bed took so long."""
        self._spent_s += seconds
        self._cost_s += SMOOTHING * (seconds / of_signal_s - self._cost_s)

    def seconds(self, beds: int) -> float:
        """How far back the signal of so many beds, all that are left, is read."""
        affordable_s = (BUDGET_S - self._spent_s) / (max(1, beds) * self._cost_s)
        return max(LEAST_S, min(self._wanted_s, affordable_s))
