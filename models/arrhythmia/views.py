"""Features of the newest signal beyond its beats: fibrillation features, networks, quality and flatness.

In, once an update: the newest signal, mV [leads, samples]. Out: `RhythmViews`, computed at first use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.arrhythmia.fibrillation_features import (
    RESTS_TOO_MUCH,
    WINDOW_S,
    fibrillation_features,
    most_may_fibrillate,
    most_outside,
    most_too_low,
    rest_shares,
)
from models.arrhythmia.stillness import NO_MARKS, Stillness
from models.beats.detector import UPDATE_INTERVAL_S
from models.beats.regular_waves import RegularWaves, regular_waves
from models.ecg import Ecg, Millivolts
from models.evidence import Evidence
from models.networks.atrial import AtrialNetwork
from models.networks.rhythm import RhythmNetwork
from models.signal.quality import FLAT_MV, lead_quality
from models.signal.span_quality import SpanQuality

# Regular waves in a time without beats, as many in as long and higher than P waves, are beats that were not detected
UNDETECTED_S, UNDETECTED_WAVES, UNDETECTED_MV = 5.0, 5, 0.4
ACTIVE_MV = 0.15  # peak to peak of a lead beside which a flat one shows nothing; IEC 60601-2-27: smaller is no QRS
SLIDE_S = 0.25  # windows of fibrillation features are this far apart,
FAR_RAIL_MV = 3.0  # of a rail from the lead's median: few QRS complexes are as high, and those are not cut off there
RAIL_NEAR_S = 0.08  # of a beat: a QRS complex lies within this of its R peak
STEADY = 2  # instants whose mean probability decides on a run; with more, tachycardias of VFDB are found later
WINDOWS = round(UPDATE_INTERVAL_S / SLIDE_S)  # so that so many end in an update


class RhythmViews:
    """Features of the newest signal of one bed, each computed at first use.

    Parameters
    ----------
    window : Ecg
        The newest seconds of signal, all leads of the bed.
    usable : tuple of str
        Usable leads.
    fold : str, optional
        Use network weights trained without this fold.
    marks : int64 [marks]
        Pacing marks of the device, absolute samples.

    Attributes
    ----------
    leads : tuple of str
        Those whose waves are compared: the usable leads, less those that are flat beside one with activity. A line at a
        rail, or of a lead that is not connected, is flat as well, and shows nothing of the waves.
    device_marks : bool
        The device marks pacing pulses.
    instants : tuple of float
        The instants since the last update at which a criterion is evaluated, s before now, the newest first.
    """

    instants = tuple(k * SLIDE_S for k in range(WINDOWS))

    def __init__(
        self, window: Ecg, usable: tuple[str, ...], fold: str | None = None, marks: NDArray[np.int64] = NO_MARKS
    ) -> None:
        self._fold = fold
        self._window = window
        self._usable = usable
        self._marks = marks
        self.device_marks = bool(len(marks))
        self._rows = [window.leads.index(lead) for lead in usable]
        self.leads = self._leads_with_waves()
        self._wave_rows = [window.leads.index(lead) for lead in self.leads]
        self._stillness: Stillness | None = None
        self._networks: dict[float, dict[str, float]] = {}

    def _leads_with_waves(self) -> tuple[str, ...]:
        newest = self._window.mv[self._rows, -round(WINDOW_S * self._window.fs_hz) :]
        if len(self._rows) < 2 or not newest.shape[1]:
            return self._usable
        size = newest.max(axis=1) - newest.min(axis=1)
        if np.isnan(size).any():
            size = np.nanmax(newest, axis=1) - np.nanmin(newest, axis=1)
        if size.min() >= FLAT_MV or size.max() < ACTIVE_MV:
            return self._usable
        return tuple(lead for lead, mv in zip(self._usable, size.tolist(), strict=True) if mv >= FLAT_MV)

    @cached_property
    def may_fibrillate(self) -> bool:
        """Whether the fibrillation features are worth computing."""
        return bool((self._newest_rest_share < RESTS_TOO_MUCH).any())

    @cached_property
    def _newest_rest_share(self) -> NDArray[np.float64]:
        return self._rest_shares(WINDOW_S, 0, 1)

    def _rest_shares(self, seconds: float, first: int, stop: int) -> NDArray[np.float64]:
        """Share of the time that each lead rests in some of the `sliding_waves`, [leads, windows]."""
        fs, ends_s = self._window.fs_hz, np.arange(first, stop, dtype=np.float64) * SLIDE_S
        newest = self._window.mv[self._wave_rows, -round((seconds + UPDATE_INTERVAL_S) * fs) :]
        return rest_shares(newest, fs, seconds, ends_s)

    def sliding_waves(
        self, seconds: float, bounds: Mapping[str, float] | None = None
    ) -> Iterator[tuple[float, NDArray[np.float64]]]:
        """Windows that ended since the last update in which half of the leads may fibrillate, newest first.

        Parameters
        ----------
        seconds : float
            Their length; they are `SLIDE_S` apart.
        bounds : mapping, optional
            As in `fibrillation_features`: windows in which most leads are outside are left out.

        Yields
        ------
        float
            End of the window, s before now.
        float64 [leads, features]
            Of `leads`.
        """
        fs = self._window.fs_hz
        if bounds is not None:
            newest = self._window.mv[self._wave_rows, -round((seconds + UPDATE_INTERVAL_S) * fs) :]
            if most_too_low(newest, round(seconds * fs), bounds["rms_mv"]):
                return
        known = [self._newest_rest_share] if seconds == WINDOW_S else []
        shares = np.concatenate([*known, self._rest_shares(seconds, len(known), WINDOWS)], axis=1)
        ends_s = [k * SLIDE_S for k in np.flatnonzero(most_may_fibrillate(shares)).tolist()]
        parts, outside = [self._part(seconds, end_s) for end_s in ends_s], [False] * len(ends_s)
        if bounds is not None:
            order = np.argsort(-self._newest_rest_share[:, 0]).tolist()
            outside = most_outside(parts, fs, bounds, order)
        for end_s, part, is_outside in zip(ends_s, parts, outside, strict=True):
            if not is_outside:
                yield end_s, fibrillation_features(part, fs, bounds)

    def waves(self, seconds: float) -> NDArray[np.float64]:
        """Fibrillation features of `leads` in the last ``seconds``, [leads, features]."""
        return fibrillation_features(self._part(seconds, 0.0), self._window.fs_hz)

    def _part(self, seconds: float, until_s: float) -> Millivolts:
        """`leads` in ``seconds`` that ended ``until_s`` ago, mV [leads, samples]."""
        n, end = round(seconds * self._window.fs_hz), self._window.n_samples - round(until_s * self._window.fs_hz)
        return np.asarray(self._window.mv[self._wave_rows, max(0, end - n) : end], np.float32)

    def regular_waves(self, seconds: float, now: int) -> RegularWaves | None:
        """The regular waves of `leads` at the end of the last ``seconds``; ``now``: absolute sample after the last."""
        n = round(seconds * self._window.fs_hz)
        order = np.argsort(-self._newest_rest_share[:, 0]).tolist()
        newest = self._window.mv[self._wave_rows, -n:]
        return regular_waves(self.leads, newest, self._window.fs_hz, now, resting_first=order)

    def beats_undetected(self, now: int) -> bool:
        """Whether the newest seconds show regular waves of the size of beats: a time without beats is no standstill."""
        waves = self.regular_waves(UNDETECTED_S, now)
        return waves is not None and len(waves.crests) >= UNDETECTED_WAVES and waves.height_mv >= UNDETECTED_MV

    def waves_of(self, lead: str, from_s: float, to_s: float) -> tuple[float, float]:
        """Peak-to-peak amplitude (mV) and quality (0 to 1) of a lead from ``from_s`` to ``to_s`` before now."""
        n, fs = self._window.n_samples, self._window.fs_hz
        part = self._window.select([lead]).mv[:, max(0, n - round(from_s * fs)) : n - round(to_s * fs)]
        return float(np.nanmax(part) - np.nanmin(part)), lead_quality(part, fs)[0].score

    @property
    def network(self) -> dict[str, float]:
        """Probabilities of the rhythm network over the last 16 s."""
        return self.network_at(0.0)

    def network_at(self, ended_s: float) -> dict[str, float]:
        """Probabilities of the rhythm network over the 16 s that ended ``ended_s`` ago; each is computed once."""
        if ended_s not in self._networks:
            end = self._window.n_samples - round(ended_s * self._window.fs_hz)
            mv = self._window.mv[:, :end]
            self._networks[ended_s] = RhythmNetwork.load(self._fold)(mv, self._window.fs_hz, self._wave_rows)
        return self._networks[ended_s]

    def steady_network(self, ended_s: float) -> dict[str, float]:
        """Mean probabilities of the rhythm network at the `STEADY` instants up to the one ``ended_s`` ago.

        A shift of the signal by a quarter of a second alone may change a probability by 0.3.
        """
        seconds = self._window.n_samples / self._window.fs_hz
        ends_s = [ended_s + k * SLIDE_S for k in range(STEADY)]
        at = [self.network_at(end_s) for end_s in ends_s if end_s < seconds]
        return {name: sum(each[name] for each in at) / len(at) for name in at[0]}

    def atrial_bounds(self) -> Iterator[tuple[float, float]]:
        """Bounds of the log odds of atrial fibrillation, by the atrial network; each pair costs more than the last."""
        return AtrialNetwork.load(self._fold).bounds(self._window.mv, self._window.fs_hz, self._wave_rows)

    def shown(self, evidence: Evidence, r: NDArray[np.int64], now: int) -> Evidence | None:
        """The evidence on those of its leads that show it on signal of sufficient quality.

        Parameters
        ----------
        evidence : Evidence
            Of a time between beats or over several, absolute samples.
        r : int64 [beats]
            R peaks, absolute samples.
        now : int
            Absolute sample after the last one.

        Returns
        -------
        Evidence or None
            None where no lead shows its beats on signal of sufficient quality, where half of those that are good show a
            beat inside its RR, and where a lead is at a rail far from its beats at one of them: an electrode moves.
        """
        start, line, ended = now - self._window.n_samples, self.stillness(r, now), evidence.measure != "SILENCE"
        places = [evidence.start, evidence.end] if ended else [evidence.start]
        good = self._quality.leads_of_one_span(evidence.leads, evidence.start - start, evidence.end - start)
        if not good or any(self._at_rail(evidence.leads, at - start) for at in places):
            return None
        rows = [self._usable.index(lead) for lead in good]
        inside = np.zeros(len(rows), bool)
        if evidence.measure in ("RR", "SILENCE"):
            inside = line.beat_inside(evidence.start, evidence.end)[rows]
        ends = np.all([line.beat_at(at)[rows] for at in places], axis=0)
        leads = tuple(lead for lead, with_beat, at_ends in zip(good, inside, ends, strict=True) if at_ends > with_beat)
        return replace(evidence, leads=leads) if leads and 2 * inside.sum() < len(good) else None

    def _at_rail(self, leads: Sequence[str], at: int) -> bool:
        """Whether one of the leads is at a rail far beyond its beats round a sample of the window."""
        near, n = round(RAIL_NEAR_S * self._window.fs_hz), self._window.n_samples
        first, stop, _ = slice(max(0, at - near), at + near + 1).indices(n)
        return self._quality.at_far_rail(leads, first, stop, FAR_RAIL_MV)

    @cached_property
    def _quality(self) -> SpanQuality:
        return SpanQuality(self._window)

    def stillness(self, r: NDArray[np.int64], now: int) -> Stillness:
        """Steepness of the signal between the beats ``r``; computed once."""
        if self._stillness is None:
            self._stillness = Stillness(self._window.mv[self._rows], self._window.fs_hz, now, r, self._marks)
        return self._stillness
