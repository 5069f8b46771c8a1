"""The outputs of one step of a bed, in the order in which they leave the worker (docs/delivery.md, "Publish")."""

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
    """The messages of one step; each step is delivered by itself, so that no version of an alert is skipped.

    Attributes
    ----------
    bed : Bed or None
        The bed document, where it changed: sent first, and acknowledged before the rest is sent.
    strips, alerts : list
        Sent second.
    flag_reason : str
        Reason of the encoder's flag, where these are its alerts.
    vitals : list of Vitals
        May be dropped, never late.
    encoder_window : Ecg or None
        Ten seconds of signal, offered to the encoder tier.
    """

    bed: Bed | None = None
    strips: list[Strip] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    flag_reason: str = ""
    vitals: list[Vitals] = field(default_factory=list)
    encoder_window: Ecg | None = None

    def __bool__(self) -> bool:
        return bool(self.bed or self.strips or self.alerts or self.vitals or self.encoder_window)
