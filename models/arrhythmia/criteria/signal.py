"""Technical conditions of the signal: detached electrodes, and noise on all leads.

In, once an update: usable and detached leads, and the quality of each lead. Out: `Finding` of LEADS_OFF and
NOISY_SIGNAL. One fault raises one condition: detached leads, or leads without samples, are not noisy as well.
Source: IEC 60601-2-27, 201.12.4: a noisy or detached lead is indicated as such and never taken for asystole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.arrhythmia.episode_tracker import Finding
from models.arrhythmia.limits import criterion_of
from models.evidence import Evidence
from models.signal.quality import IMPLAUSIBLE, LeadQuality

NOISY_AFTER_S = 10.0  # docs/alarms.md#codes
QUALITY_SPAN_S = 1.0  # evidence covers the last second
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
        self._noisy_since: int | None = None

    def set_leads(self, leads: Sequence[str]) -> None:
        """Change the leads of the bed."""
        self._leads = tuple(leads)

    def update(
        self,
        now: int,
        usable: Sequence[str],
        leads_off: Sequence[str],
        quality: Mapping[str, LeadQuality],
        with_samples: Sequence[str] | None = None,
    ) -> list[Finding]:
        """Technical conditions present after one update.

        Parameters
        ----------
        now : int
            Sample up to which the signal is known.
        usable : sequence of str
            Leads usable in the last second.
        leads_off : sequence of str
            Leads reported detached.
        quality : mapping
            Lead to its quality.
        with_samples : sequence of str, optional
            Leads with samples in the last second; all where it is left out.
        """
        before = now - round(self._fs)
        out = []
        detached = tuple(lead for lead in self._leads if lead in leads_off)
        self._off_since = None if not detached else before if self._off_since is None else self._off_since
        if self._off_since is not None:
            word = "all electrodes" if len(detached) == len(self._leads) else "an electrode"
            out.append(self._finding("LEADS_OFF", self._off_since, now, detached, f"{word} detached", 0.0, quality))
        attached = tuple(
            lead
            for lead in self._leads
            if lead not in leads_off
            and (with_samples is None or lead in with_samples)
            and quality[lead].state != IMPLAUSIBLE
        )
        noisy = bool(attached) and not usable
        self._noisy_since = None if not noisy else before if self._noisy_since is None else self._noisy_since
        if self._noisy_since is not None and now - self._noisy_since >= NOISY_AFTER_S * self._fs:
            rule = f"no lead usable for {NOISY_AFTER_S:g} s"
            out.append(self._finding("NOISY_SIGNAL", self._noisy_since, now, attached, rule, NOISY_AFTER_S, quality))
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
        highest = round(max((quality[lead].score for lead in leads), default=0.0), 3)
        start = max(onset, now - round(QUALITY_SPAN_S * self._fs))
        evidence = Evidence(
            "QUALITY", highest, leads, start, now, criterion=criterion_of(code, rule, limit), method=METHOD
        )
        return Finding(code, onset, now, (evidence,), leads)
