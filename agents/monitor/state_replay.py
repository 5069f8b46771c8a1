"""Seconds of signal that a worker replays before a restored partition goes live (docs/delivery.md, "Restore", step 4).

The target is 120 s, or 60 s more than the longest confirmation time of a rule. With many beds on a slow machine that
takes longer than an alarm may; then the replay is limited to what fits into `BUDGET_S`, but is never shorter than
`LEAST_S`. With less, a condition that began just before the committed offset is lost: a new analysis of an asystole has
no beat to count from. Conditions with confirmation times of minutes are then confirmed anew; an open alert stays on
meanwhile.
"""

from __future__ import annotations

from agents.settings import Settings

BUDGET_S = 5.0  # with the session's 6 s a fail-over stays near the 10 s that an alarm may take
LEAST_S = 35.0  # beat detection forgets within 30 s, and the fastest lethal rule needs 4 s of what came before
LONGER_THAN_CONFIRM_S = 60.0
GUESS_S = 0.01  # a bed's second takes about this long, until it has been measured
SMOOTHING = 0.02


class StateReplay:
    """Measures the cost of a second of a bed, and gives the seconds that fit into the budget."""

    def __init__(self, settings: Settings) -> None:
        self._cost_s = GUESS_S
        self._spent_s = 0.0
        self._wanted_s = max(
            settings.state_replay_s, max(settings.af_confirm_s, settings.qt_confirm_s) + LONGER_THAN_CONFIRM_S
        )

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
