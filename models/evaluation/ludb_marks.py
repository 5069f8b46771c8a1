"""Marks of single beats in LUDB, and their medians over the leads.

In: WFDB annotations of each lead (Kalyakulina et al. 2020). Out: onset and offset of the waves of one beat, samples.
"""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.ecg import Ecg
from models.records import open_record

MIN_LEADS = 6  # with a mark, for a median over the leads
SAME_BEAT_S = 0.1  # between R peaks

Marks = Mapping[str, int]


@dataclass(frozen=True, eq=False)
class MarkedRecord:
    """A record of LUDB with its fold and, for each lead, the peak and the marks of each QRS complex."""

    name: str
    fold: str
    ecg: Ecg
    leads: Sequence[Sequence[tuple[int, Marks]]]

    def reference(self, r: int) -> dict[str, float]:
        """Medians over the leads of the marks of the beat at ``r``, samples; only marks of `MIN_LEADS` leads."""
        own: dict[str, list[int]] = {}
        for beats in self.leads:
            peak, marks = min(beats, key=lambda beat: abs(beat[0] - r), default=(-(10**9), {}))
            if abs(peak - r) <= SAME_BEAT_S * self.ecg.fs_hz:
                for name, at in marks.items():
                    own.setdefault(name, []).append(at)
        return {name: statistics.median(at) for name, at in own.items() if len(at) >= MIN_LEADS}


def marked_records(data: Path, folds: Path) -> Iterator[MarkedRecord]:
    """The records of LUDB that a folds file (columns record, fold) names, by number.

    Parameters
    ----------
    data : Path
        Folder with ``ludb/data``.
    folds : Path
        The folds file.
    """
    import wfdb

    with folds.open() as f:
        fold_of = {row["record"]: row["fold"] for row in csv.DictReader(f)}
    for name, fold in sorted(fold_of.items(), key=lambda item: int(item[0])):
        path = str(data / "ludb" / "data" / name)
        source = open_record(path)
        leads = [_beats_of(wfdb.rdann(path, lead)) for lead in wfdb.rdheader(path).sig_name]
        yield MarkedRecord(name, fold, source.slice(0, source.n_samples), leads)


def _beats_of(annotation: object) -> list[tuple[int, Marks]]:
    """Each QRS complex of a lead: its peak, and the marks of its beat."""
    sample, symbol = annotation.sample.tolist(), annotation.symbol  # type: ignore[attr-defined]
    out: list[tuple[int, Marks]] = []
    p: dict[str, int] = {}
    for k, kind in enumerate(symbol):
        onset = sample[k - 1] if k and symbol[k - 1] == "(" else None
        offset = sample[k + 1] if k + 1 < len(symbol) and symbol[k + 1] == ")" else None
        if kind == "p":
            p = {} if onset is None else {"p_on": onset}
        elif kind == "N":
            qrs = {"qrs_on": onset, "qrs_off": offset}
            out.append((sample[k], p | {name: at for name, at in qrs.items() if at is not None}))
            p = {}
        elif kind == "t" and out and offset is not None and "t_off" not in out[-1][1]:
            out[-1] = (out[-1][0], {**out[-1][1], "t_off": offset})
    return out
