"""Technical conditions of the signal: detached electrodes, and noise on all leads.

In, once an update: usable and detached leads, the quality of each lead and the newest signal. Out: `Finding` of
LEADS_OFF and NOISY_SIGNAL. One fault raises one condition: detached leads, leads without samples and leads of
implausible amplitude are not noisy as well.
The quality of a lead is that of 6 s, so noise is recognised some seconds after it began. Its onset is where the
quality of 2 s became insufficient. Noise lasts until a usable interval is long enough to show a standstill.
Chest compressions are artefact too, on leads whose quality is good. Where all readable leads carry waves like theirs,
NOISY_SIGNAL names them and their rate; the rhythm goes on being judged, and no alarm is suppressed.
Source: IEC 60601-2-27, 201.12.4: a noisy or detached lead is indicated as such and never taken for asystole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.arrhythmia.episode_tracker import Finding
from models.arrhythmia.limits import criterion_of
from models.ecg import Ecg
from models.evidence import Evidence
from models.signal.quality import IMPLAUSIBLE, LeadQuality, lead_quality
from models.signal.repetitive_motion import WINDOW_S as MOTION_WINDOW_S
from models.signal.repetitive_motion import RepetitiveMotion, repetitive_motion

NOISY_AFTER_S = 10.0  # docs/alarms.md#codes
NOISY_EARLY_S = 1.5  # NOISY_SIGNAL may act this early, so that it is on before CANNOT_ANALYZE would be
USABLE_AGAIN_S = 4.0  # usable signal without a break that ends noise: the limit of ASYSTOLE by default
ONSET_PIECE_S, ONSET_BACK_S = 2.0, 5.0  # quality of pieces of this length, down to this long ago, dates the onset
QUALITY_SPAN_S = 1.0  # evidence covers the last second
METHOD, MOTION_METHOD = "lead quality 1", "repetitive motion 1"


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
        self._noisy_until = 0  # the newest update without a usable lead
        self._motion: RepetitiveMotion | None = None  # the newest one
        self._motion_since, self._motion_until = 0, 0

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
        signal: Ecg | None = None,
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
        signal : Ecg, optional
            The newest seconds, which date the onset of noise and show motion.
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
        if attached and not usable:
            if self._noisy_since is None:
                self._noisy_since = before if signal is None else min(before, noise_onset(signal, now))
            self._noisy_until = now
        elif not attached or now - self._noisy_until >= USABLE_AGAIN_S * self._fs:
            self._noisy_since = None
        if signal is not None:
            self._update_motion(now, [lead for lead in attached if quality[lead].usable], signal)
        long = round((NOISY_AFTER_S - NOISY_EARLY_S) * self._fs)
        is_noisy = self._noisy_since is not None and now - self._noisy_since >= long
        if self._motion is not None and (is_noisy or now - self._motion_since >= long):
            out.append(self._compressions(self._motion, self._noisy_since if is_noisy else None))
        elif is_noisy and self._noisy_since is not None:
            rule = f"no lead usable for {NOISY_AFTER_S:g} s"
            if usable:
                rule = f"no lead usable for {USABLE_AGAIN_S:g} s without a break, for {NOISY_AFTER_S:g} s"
            until = self._noisy_until
            out.append(self._finding("NOISY_SIGNAL", self._noisy_since, until, attached, rule, NOISY_AFTER_S, quality))
        return out

    def _update_motion(self, now: int, readable: Sequence[str], signal: Ecg) -> None:
        rows = [signal.leads.index(lead) for lead in readable]
        motion = repetitive_motion(readable, signal.mv[rows], self._fs)
        if motion is not None:
            if self._motion is None:
                self._motion_since = now - round(MOTION_WINDOW_S * self._fs)
            self._motion, self._motion_until = motion, now
        elif now - self._motion_until >= USABLE_AGAIN_S * self._fs:
            self._motion = None

    def _compressions(self, motion: RepetitiveMotion, noisy_since: int | None) -> Finding:
        """NOISY_SIGNAL that names compressions; the quality is the share of the signal that they are not."""
        until = self._motion_until
        onset = self._motion_since if noisy_since is None else min(noisy_since, self._motion_since)
        rule, limit_s = f"waves like those of chest compressions, {motion.rate_bpm:.0f} a minute", MOTION_WINDOW_S
        if noisy_since is None:
            rule += f", on all leads for {limit_s:g} s"  # their quality is good, and they are judged
        else:
            limit_s = NOISY_AFTER_S
            rule = f"no lead usable for {limit_s:g} s: {rule}"
        evidence = Evidence(
            "QUALITY",
            round(1.0 - motion.share, 3),
            motion.leads,
            until - round(MOTION_WINDOW_S * self._fs),
            until,
            criterion=criterion_of("NOISY_SIGNAL", rule, limit_s),
            method=MOTION_METHOD,
        )
        return Finding("NOISY_SIGNAL", onset, max(until, self._noisy_until), (evidence,), motion.leads)

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


def noise_onset(signal: Ecg, now: int) -> int:
    """Absolute sample from which on no lead of the newest signal is usable, at most `ONSET_BACK_S` ago.

    Parameters
    ----------
    signal : Ecg
        The newest seconds, ending at ``now``.
    now : int
        Absolute sample after the last one.
    """
    fs, n = signal.fs_hz, signal.n_samples
    size, onset = round(ONSET_PIECE_S * fs), now
    for back in range(round(ONSET_BACK_S - ONSET_PIECE_S) + 1):
        stop = n - round(back * fs)
        if stop < size:
            break
        piece = signal.mv[:, stop - size : stop]
        if any(q.usable for q in lead_quality(piece, fs, signal.leads, signal.leads_off)):
            break
        onset = now - (n - stop + size)
    return onset
