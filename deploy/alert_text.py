"""Text of alerts in a terminal: colour by priority, state, interpretation and citations."""

from __future__ import annotations

from rich.text import Text

from models.grounding.phrases import leads_phrase
from streams.alert import Alert, Citation

STYLES = {"PH": "bold white on red", "PM": "black on yellow", "PL": "black on cyan", "PN": "white on grey37"}
_DIGITS = {"s": 2, "bpm": 0, "ms": 0, "mV": 2}


def citation_text(citation: Citation) -> str:
    """As in ``[1] PR 212 ms, lead II, 3.14–3.35 s``."""
    value = f"{citation.value:z.{_DIGITS.get(citation.unit, 2)}f} {citation.unit}".rstrip()
    where = leads_phrase(citation.leads) if citation.leads else "no lead"
    wave = f" of {citation.wave}" if citation.wave else ""
    return f"[{citation.n}] {citation.measure}{wave} {value}, {where}, {citation.start_s:.2f}–{citation.end_s:.2f} s"


def headline(alert: Alert) -> Text:
    """One line: priority, title, bed, onset, state."""
    marks = [alert.state.value] + ["sounding"] * alert.sounding + ["late"] * alert.late
    line = Text()
    line.append(f" {alert.title} ", STYLES[alert.priority])
    line.append(f" {alert.bed_stream}  {alert.onset:%H:%M:%S}  ", "bold")
    line.append(", ".join(marks), "dim")
    line.append(f"  {alert.id[:8]}", "dim")
    return line


def alert_lines(alert: Alert, most_citations: int | None = None) -> Text:
    """The alert with its interpretation and citations; beyond ``most_citations`` the text gives their number."""
    text = headline(alert)
    if alert.interpretation is not None:
        source = "GEM" if alert.interpretation.source == "gem" else "measured"
        text.append(f"\n   {source}: ", "green").append(alert.interpretation.text)
    for citation in alert.citations[:most_citations]:
        text.append(f"\n   {citation_text(citation)}", "yellow")
    rest = 0 if most_citations is None else len(alert.citations) - most_citations
    if rest > 0:
        text.append(f"\n   and {rest} more", "dim")
    return text
