"""Technical conditions of the signal itself: detached electrodes, and noise that leaves no lead to judge by.

One thing is said of one fault: where electrodes are off, or samples do not come, there is no noise to speak of.
A noisy or detached lead is said to be so and never taken for a silent heart (IEC 60601-2-27, 201.12.4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.arrhythmia.episode_tracker import Finding
from models.arrhythmia.limits import RULES
from models.evidence import Criterion, Evidence
from models.signal.quality import LeadQuality

NOISY_AFTER_S = 10.0  # CONTRACTS 4
QUALITY_SPAN_S = 1.0  # evidence shows the last second
METHOD = "lead quality 1"


class TechnicalConditions:
    """LEADS_OFF and NOISY_SIGNAL of one bed.

    Parameters
    ----------
    leads : sequence of str
        Leads of the bed.
    fs_hz : float
        Samples a second.
    """

    def __init__(self, leads: Sequence[str], fs_hz: float) -> None:
        self._leads = tuple(leads)
        self._fs = fs_hz
        self._off_since: int | None = None
        self._blind_since: int | None = None

    def update(
        self,
        now: int,
        usable: Sequence[str],
        leads_off: Sequence[str],
        quality: Mapping[str, LeadQuality],
        there: Sequence[str] | None = None,
    ) -> list[Finding]:
        """One hop of a second: the technical conditions present.

        Parameters
        ----------
        now : int
            Sample up to which signal has been seen.
        usable, leads_off : sequences of str
            Leads that may speak, and those reported detached.
        quality : mapping
            Of every lead.
        there : sequence of str, optional
            Leads with samples in this second; all where it is left out.
        """
        before = now - round(self._fs)
        out = []
        detached = tuple(lead for lead in self._leads if lead in leads_off)
        self._off_since = None if not detached else before if self._off_since is None else self._off_since
        if self._off_since is not None:
            word = "all electrodes" if len(detached) == len(self._leads) else "an electrode"
            out.append(self._finding("LEADS_OFF", self._off_since, now, detached, f"{word} detached", 0.0, quality))
        attached = tuple(lead for lead in self._leads if lead not in leads_off and (there is None or lead in there))
        noisy = bool(attached) and not usable
        self._blind_since = None if not noisy else before if self._blind_since is None else self._blind_since
        if self._blind_since is not None and now - self._blind_since >= NOISY_AFTER_S * self._fs:
            rule = f"no lead usable for {NOISY_AFTER_S:g} s"
            out.append(self._finding("NOISY_SIGNAL", self._blind_since, now, attached, rule, NOISY_AFTER_S, quality))
        return out

    def _finding(
        self,
        code: str,
        onset: int,
        now: int,
        leads: tuple[str, ...],
        rule: str,
        limit: float,
        quality: Mapping[str, LeadQuality],
    ) -> Finding:
        worst = round(max((quality[lead].score for lead in leads), default=0.0), 3)
        start = max(onset, now - round(QUALITY_SPAN_S * self._fs))
        evidence = Evidence(
            "QUALITY", worst, leads, start, now, criterion=Criterion(rule, limit, RULES[code].source), method=METHOD
        )
        return Finding(code, onset, now, (evidence,), leads)
