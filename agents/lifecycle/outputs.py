"""What a bed has to tell after a turn, in the order in which it must leave the worker (docs/delivery.md)."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.ecg import Ecg
from streams.alert import Alert
from streams.bed import Bed, Vitals
from streams.wire import EcgWindow


@dataclass(frozen=True, eq=False)
class Strip:
    """The signal of an alert's segment."""

    alert_id: str
    window: EcgWindow


@dataclass(eq=False)
class Outputs:
    """The messages of one turn; each turn leaves by itself, so that no version of an alert is ever skipped.

    Attributes
    ----------
    bed : Bed or None
        The bed document, where it changed: first, and acknowledged before anything else leaves.
    strips, alerts : list
        Then these.
    flag_reason : str
        Why the encoder flagged, where these are its alerts.
    vitals : list of Vitals
        May be dropped, never late.
    encoder_window : Ecg or None
        Ten seconds for the encoder tier: it may take them or leave them.
    """

    bed: Bed | None = None
    strips: list[Strip] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    flag_reason: str = ""
    vitals: list[Vitals] = field(default_factory=list)
    encoder_window: Ecg | None = None

    def __bool__(self) -> bool:
        return bool(self.bed or self.strips or self.alerts or self.vitals or self.encoder_window)
