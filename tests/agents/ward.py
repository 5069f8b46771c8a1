"""A bed under test: windows in at their own time, documents out, no broker."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from agents.clock import ManualClock
from agents.lifecycle.outputs import Outputs
from agents.monitor.bed import BedMonitor, new_bed
from agents.settings import Settings
from streams.alert import Alert
from streams.bed import Bed, Vitals
from streams.document import time_of_ns
from streams.wire import EcgWindow
from tests.agents.law import Written
from tests.agents.signals import T0_NS, S


class BedUnderTest:
    """Feeds a `BedMonitor` and keeps what it gives."""

    def __init__(self, bed: Bed | None = None, settings: Settings | None = None, generation: int = 1) -> None:
        self.clock = ManualClock(T0_NS)
        self.settings = settings or Settings()
        bed = bed or new_bed("icu-3/07", "icu-3", "07", T0_NS, "p-81f3")
        self.monitor = BedMonitor(bed, self.settings, self.clock, generation=generation)
        self.outputs: list[Outputs] = []
        self.written: list[tuple[int, Written]] = [(self.clock.now_ns(), self.monitor.bed)]  # for the oracle of the law
        self.offset = -1

    def feed(self, windows: Iterable[EcgWindow], *, delay_s: float = 0.05, replay: bool = False) -> BedUnderTest:
        """Each window arrives when the gateway has it, the clock with it; a tick follows."""
        for window in windows:
            self.offset += 1
            arrival_ns = window.gateway_time_ns + round(delay_s * S)
            self.clock.set_ns(max(self.clock.now_ns(), arrival_ns))
            self.keep(self.monitor.apply_window(window, self.offset, arrival_ns, replay=replay))
            if not replay:
                self.keep(self.monitor.tick(caught_up=True))
        return self

    def keep(self, outputs: list[Outputs]) -> None:
        """Keep the outputs of a step that was taken now."""
        self.outputs += outputs
        self.written += [(self.clock.now_ns(), output) for output in outputs]

    def wait(self, seconds: float) -> BedUnderTest:
        """Nothing comes."""
        for _ in range(round(seconds)):
            self.clock.advance_s(1.0)
            self.keep(self.monitor.tick(caught_up=True))
        return self

    @property
    def alerts(self) -> list[Alert]:
        return [alert for output in self.outputs for alert in output.alerts]

    @property
    def vitals(self) -> list[Vitals]:
        return [vitals for output in self.outputs for vitals in output.vitals]

    def of(self, code: str) -> list[Alert]:
        """The versions of a code's alerts."""
        return [alert for alert in self.alerts if alert.code == code]

    @property
    def clock_time(self) -> datetime:
        """Now, as documents write it."""
        return time_of_ns(self.clock.now_ns())
