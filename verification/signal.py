"""Signal of an alert's segment, from a strip (one `EcgWindow` message) or a WFDB record, its beats and QRS complexes.

Leads are mV by name. Beats come as several views (all leads, single leads, three thresholds): one detector is no proof.
The detector squares the rise over 20 ms, in which 50 Hz cancels, and takes the peaks of its 80-ms mean; two views
square the rise over 60 ms, which a wide ventricular complex has as well as a narrow one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d, uniform_filter1d
from scipy.signal import find_peaks

Samples = NDArray[np.float64]
Beats = NDArray[np.int64]
TWELVE = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
LIMB = {"I": (1, 0), "II": (0, 1), "III": (-1, 1), "aVR": (-0.5, -0.5), "aVL": (1, -0.5), "aVF": (-0.5, 1)}  # of I, II
SHARES = (0.25, 0.1, 0.45)  # of the usual peak, in energy: the thresholds of the views
# mV², and mV in 120 ms: 0.06 mV in 20 ms, less than a QRS complex of 0.15 mV (IEC 60601-2-27: smaller ones are none)
LEAST, LEAST_MV = 4e-3, 0.15
RISES_S, RESTS_S = (0.02, 0.06), (0.02, 0.03, 0.04, 0.06)


class Signal:
    """Leads by name, mV [samples], at ``fs`` Hz; ``used`` are those that the alarm was decided on."""

    def __init__(self, mv: dict[str, Samples], fs: float, used: tuple[str, ...] = ()) -> None:
        names = {x.upper(): x for x in TWELVE} | {"MLII": "II"}
        mv = {names.get(x.removeprefix("MDC_ECG_LEAD_").upper(), x): np.nan_to_num(row) for x, row in mv.items()}
        if len(two := [x for x in LIMB if x in mv][:2]) == 2:  # Einthoven, Goldberger
            mv = {x: k @ np.linalg.solve([LIMB[y] for y in two], [mv[y] for y in two]) for x, k in LIMB.items()} | mv
        self.mv, self.fs, self.used = mv, fs, tuple(x for x in used if x in mv) or tuple(mv)
        self.n = max((len(row) for row in mv.values()), default=0)

    @cached_property
    def views(self) -> list[Beats]:
        """Beats, samples: of all leads used at each threshold, then of single leads."""
        narrow, wide = ([e for x in self.used if (e := self._energy(self.mv[x], s)) is not None] for s in RISES_S)
        views = [(np.mean(e, axis=0), k) for e, ks in ((narrow, SHARES), (wide, SHARES[::2])) if e for k in ks]
        views += [(e, k) for e in narrow[:4] for k in SHARES[::2]]
        return [find_peaks(np.pad(e, 1), height=k, distance=0.22 * self.fs)[0] - 1 for e, k in views] or [np.arange(0)]

    @cached_property
    def likely(self) -> list[Beats]:
        """The views that have about as many beats as most of them: without those that count T waves, or miss beats."""
        counts = [len(w) for w in self.views]
        return [w for w in self.views if abs(len(w) - np.median(counts)) <= max(1, 0.1 * len(w))] or self.views

    def _energy(self, row: Samples, rise_s: float) -> Samples | None:
        k, block, width = max(1, round(rise_s * self.fs)), round(1.5 * self.fs), 2 * round(0.06 * self.fs) + 1
        e = uniform_filter1d(np.pad(row[k:] - row[:-k], (k // 2, k - k // 2)) ** 2, max(1, round(0.08 * self.fs)))
        e *= maximum_filter1d(row, width) - minimum_filter1d(row, width) >= LEAST_MV
        tops = [x for s in range(0, len(e), block) if (x := float(e[s : s + block].max())) > LEAST * rise_s / 0.02]
        # Silence has the noise's own peaks; a burst of artefact is more than twice as high as the beats.
        return np.clip(e / min(np.percentile(tops, 75), 4 * np.median(tops)), 0, 4) if tops else None

    def qrs(self, leads: tuple[str, ...], near: int, rest_s: float = RESTS_S[0]) -> tuple[int, int] | None:
        """Onset and offset of the QRS complex nearest to a sample: where the leads' summed slope leaves its floor.

        The floor lasts ``rest_s``: a notch of a ventricular complex is a floor of 20 ms, a short PR segment one of 40.
        """
        usual = np.concatenate(sorted(self.views, key=len)[: 3 * len(self.views) // 4 + 1])  # others may count T waves
        far = np.abs((every := np.concatenate(self.views))[:, None] - usual).min(axis=1, initial=self.n) > 0.5 * self.fs
        for beats in (np.concatenate(self.likely), usual, every[far]):  # the last are beats before an artefact
            if len(beats) and abs((beat := int(beats[np.abs(beats - near).argmin()])) - near) <= 0.15 * self.fs:
                return self._boundaries(leads, beat, rest_s)
        return None

    def _boundaries(self, leads: tuple[str, ...], beat: int, rest_s: float) -> tuple[int, int]:
        reach, rest, middle = (round(s * self.fs) for s in (0.2, rest_s, 0.08))
        first = max(0, beat - reach)
        piece, beat_at = np.sum([self._slopes[x][first : beat + reach] for x in leads], axis=0), beat - first
        steep = piece > np.median(piece) + 0.07 * (piece.max() - np.median(piece))
        peak = max(0, beat_at - middle) + int(np.argmax(piece[max(0, beat_at - middle) : beat_at + middle]))
        flat = np.flatnonzero(np.convolve(steep, np.ones(rest), "valid") == 0)  # begin of `rest` flat samples
        before, after = flat[flat + rest <= peak], flat[flat > peak]
        on, off = before[-1] + rest if len(before) else 0, after[0] - 1 if len(after) else len(steep) - 1
        return first + int(on), first + int(off)

    @cached_property
    def _slopes(self) -> dict[str, Samples]:
        slopes = {x: np.abs(np.gradient(uniform_filter1d(r, round(0.016 * self.fs) or 1))) for x, r in self.mv.items()}
        return {x: np.clip(s / max(np.percentile(s, 98), 1e-6), 0, 1) for x, s in slopes.items()}


def read_strip(data: bytes, used: tuple[str, ...] = ()) -> Signal:
    """The signal of one serialized `EcgWindow` (docs/produce.md), read by its wire format alone."""
    fields: dict[int, list[bytes]] = {}
    for number, value in _fields(data):
        fields.setdefault(number, []).append(value)
    if not {10, 11, 12, 13} <= set(fields):
        raise ValueError("the strip is not an EcgWindow with a rate, leads, their units and samples")
    lsb = np.frombuffer(b"".join(fields[12]), "<f4").astype(float)
    counts = np.frombuffer(fields[13][-1], "<i2").reshape(len(fields[11]), -1)
    mv = np.where(counts == -32768, 0.0, counts * lsb[:, None] / 1000.0)  # there is no sample
    return Signal(dict(zip(map(bytes.decode, fields[11]), mv, strict=True)), np.frombuffer(fields[10][-1])[0], used)


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Field numbers and values of a Protobuf message; variable-length numbers (wire type 0) are left out."""
    at = 0

    def varint() -> int:
        nonlocal at
        # A TypeError where the message ends within it.
        found: bytes = re.compile(rb"[\x80-\xff]*[\x00-\x7f]").match(data, at)[0]  # type: ignore[index]
        at += len(found)
        return sum((byte & 127) << (7 * k) for k, byte in enumerate(found))

    while at < len(data):
        number, kind = divmod(varint(), 8)
        size = varint() if kind in (0, 2) else {1: 8, 5: 4}[kind]
        if kind:
            yield number, data[at : at + size]
            at += size


def read_record(path: Path, start_s: float, seconds: float, used: tuple[str, ...] = ()) -> Signal:
    """``seconds`` of a WFDB record from ``start_s`` on."""
    import wfdb  # here, because a worker that verifies strips needs no reader of records

    head = wfdb.rdheader(str(path))
    start, n = round(start_s * head.fs), round(seconds * head.fs)
    read = wfdb.rdrecord(str(path), sampfrom=start, sampto=min(head.sig_len, start + n))
    scale = [1e-3 if unit.lower() in ("uv", "µv") else 1.0 for unit in read.units]
    return Signal(dict(zip(read.sig_name, read.p_signal.T * np.array(scale)[:, None], strict=True)), head.fs, used)
