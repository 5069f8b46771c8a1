"""The demo's display in a terminal: the beds with their vitals, and the alerts with interpretation and citations.

Where standard error is no terminal, the view prints one line for each event, so that a log stays readable.
"""

from __future__ import annotations

import time
from typing import Any, Self

from redis.exceptions import RedisError
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from deploy.alert_text import STYLES, alert_lines, headline
from deploy.demo_report import History, still_open
from deploy.ward import QT_CONFIRM_S
from streams.alert import Alert, State
from streams.ward_view import BedView, WardView

MAX_ALERTS = 5
MAX_CITATIONS = 4
SYSTEM = "_system"  # unit of the alerts that concern the whole site; no bed
BEDS_EVERY_S = 1.0  # vitals come once a second
_SPARK = "▁▂▃▄▅▆▇█"
_SPARK_COLUMNS = 36


class DemoView:
    """Live view, used as a context; call `refresh` a few times a second.

    Parameters
    ----------
    console : Console, optional
        Destination; standard error by default, so that standard output stays free.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self._live: Live | None = None
        self._beds: list[BedView] = []
        self._beds_read_at = -BEDS_EVERY_S
        self._printed: set[tuple[str, bool]] = set()
        self._head = Text()

    def __enter__(self) -> Self:
        self.console.print("Starting Kafka, Redis, the workers and the station …", style="dim")
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def addresses(self, where: dict[str, str], seconds: float) -> None:
        """Print the addresses, and start the live view."""
        self._head = Text.assemble(
            ("GEM Bedside demo  ", "bold"),
            f"Kafka {where['kafka']}  Redis {where['redis']}  station ",
            (where["station"], "bold underline"),
        )
        self.console.print(self._head)
        self.console.print(
            f"Ready after {seconds:.1f} s. A long QT is confirmed after {QT_CONFIRM_S:g} s here (60 s on a ward). "
            "Ctrl-C ends the demo.",
            style="dim",
        )
        if self.console.is_terminal:
            self._live = Live(console=self.console, refresh_per_second=4, screen=True)
            self._live.start()

    def refresh(self, view: WardView, history: History, elapsed_s: float) -> None:
        """Display the present state, ``elapsed_s`` seconds after the first sample."""
        if self._live is None:
            self._print_new(history)
            return
        now = time.monotonic()
        if now - self._beds_read_at >= BEDS_EVERY_S:
            self._beds_read_at = now
            try:
                self._beds = [bed for unit in view.units() for bed in view.beds(unit) if unit != SYSTEM]
            except RedisError as lost:  # displayed, not fatal: the publisher fills Redis again
                self._head.append(f"  Redis: {lost}", "red")
        alerts = history.newest
        title = self._head + Text(f"   {max(0.0, elapsed_s):.0f} s", "dim")
        self._live.update(Group(title, self._bed_table(alerts), self._alert_panel(alerts)))

    def note(self, message: str) -> None:
        """Add a message about the stack, such as the restart of a worker."""
        self._head.append(f"\n{message}", "yellow")
        if self._live is None:
            self.console.print(message, style="yellow")

    def done(self, report: dict[str, Any]) -> None:
        """End the live view and print the report."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        latency, claims = report["latency_s"], report["claims"]
        table = Table(title="Scripted episodes", title_justify="left")
        for name in ("bed", "episode", "onset", "alert", "latency"):
            table.add_column(name, justify="right" if name == "latency" else "left")
        for row in report["episodes"]:
            late = "–" if row["latency_s"] is None else f"{row['latency_s']:.2f} s"
            table.add_row(row["bed"], row["code"], row["onset"][11:23], (row["alert_id"] or "none")[:8], late)
        if report["episodes"]:
            self.console.print(table)
        p99 = "–" if latency["p99"] is None else f"{latency['p50']:.2f} / {latency['p99']:.2f} / {latency['max']:.2f} s"
        self.console.print(
            f"{report['windows_in']} windows in, {report['windows_analysed']} analysed, {report['lost']} lost, "
            f"{report['duplicates']} duplicates, {report['dead_letters']} dead letters; latency p50/p99/max {p99}; "
            f"claims: {claims['supported']} supported, {claims['unsupported']} unsupported, "
            f"{claims['contradicted']} contradicted"
        )

    def _print_new(self, history: History) -> None:
        """Print each alert once when it starts, and once when it is interpreted."""
        for alert in history.newest:
            interpreted = alert.interpretation is not None
            if (alert.id, interpreted) not in self._printed:
                self._printed |= {(alert.id, False), (alert.id, interpreted)}
                self.console.print(alert_lines(alert) if interpreted else headline(alert), soft_wrap=True)

    def _bed_table(self, alerts: list[Alert]) -> Table:
        table = Table(expand=True, box=None, padding=(0, 1))
        for name, width in (("bed", 11), ("HR", 4), ("rhythm", 28), ("lead", 5), ("", _SPARK_COLUMNS + 1)):
            table.add_column(name, width=width, no_wrap=True, justify="right" if name == "HR" else "left")
        table.add_column("alarm", no_wrap=True)
        open_alerts = still_open(alerts)
        for view in self._beds:
            bed, vitals = view.bed, view.vitals
            first = next((a for a in open_alerts if a.bed_stream == bed.bed_stream), None)
            alarm = Text("") if first is None else Text(f" {first.title} ", STYLES[first.priority])
            if first is not None and first.state.value != "on":
                alarm.append(f" {first.state.value}", "dim")
            wave = None if vitals is None else vitals.wave
            table.add_row(
                Text(bed.bed_stream, "bold"),
                "–" if vitals is None or vitals.hr is None else f"{vitals.hr:.0f}",
                "" if vitals is None else vitals.rhythm or "",
                "" if wave is None else wave.lead,
                Text("" if wave is None else sparkline(wave.mv), "green"),
                alarm,
            )
        return table

    def _alert_panel(self, alerts: list[Alert]) -> Panel:
        over = sorted((a for a in alerts if a.state is State.OFF), key=lambda a: a.onset, reverse=True)
        lines: list[Text] = []
        for alert in [*still_open(alerts), *over][:MAX_ALERTS]:
            lines += [alert_lines(alert, MAX_CITATIONS), Text()]
        return Panel(Group(*lines), title="alerts", title_align="left", border_style="dim")


def sparkline(mv: list[float | None]) -> str:
    """One second of signal, in mV, as a line of block characters: each column is its extreme value."""
    known = [v for v in mv if v is not None]
    if len(known) < _SPARK_COLUMNS:
        return ""
    middle = sorted(known)[len(known) // 2]
    step = len(known) / _SPARK_COLUMNS
    columns = [
        max(known[round(k * step) : round((k + 1) * step)] or [middle], key=lambda v: abs(v - middle))
        for k in range(_SPARK_COLUMNS)
    ]
    low, high = min(*columns, middle - 0.3), max(*columns, middle + 0.3)
    return "".join(_SPARK[round((v - low) / (high - low) * (len(_SPARK) - 1))] for v in columns)
