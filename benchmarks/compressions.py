"""Benchmark of chest compressions: named where they are simulated, not named elsewhere. Writes compressions.md.

    python benchmarks/compressions.py [--data DIR] [--limit N] [--out FILE]

Compressions are nearly sinusoidal waves of 90 to 140 a minute with the scatter of hands, on all leads, over a sinus
rhythm (MIT-BIH), a standstill (the same recordings, joined on to a line as in `models.evaluation.splices`) and
fibrillation (CUDB). Where nobody compresses, all of VFDB, CUDB, MIT-BIH and CinC 2015 is looked at second by second.
The patients are halved by the numbers of their records (`half_of`), those of CinC 2015 by their blocks of numbers. The
share of the power that names compressions is chosen on one half, as the largest that names 8 of 10 simulated pieces,
and reported on the other, beside the share of the code.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import models.signal.repetitive_motion as motion  # noqa: E402
from models.records import read_record  # noqa: E402

SHARES = (0.60, 0.65, 0.70, 0.75, 0.80)
SECONDS, DRAWS, WANTED = 24.0, 6, 0.8
FS_HZ = 50.0  # of the kept signal
NEGATIVE = {"vfdb": "vfdb/data", "cudb": "cudb", "mitdb": "mitdb/data", "cinc2015": "cinc2015/records"}
TITLES = {"vfdb": "VFDB", "cudb": "CUDB", "mitdb": "MIT-BIH", "cinc2015": "CinC 2015, 300 s of each record"}
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Piece:
    """A recording, or a simulated episode: source, patient's half, leads, signal at `FS_HZ`."""

    source: str
    name: str
    half: int
    leads: tuple[str, ...]
    mv: Array


def compressions(n: int, fs_hz: float, leads: int, rng: np.random.Generator) -> Array:
    """Waves of chest compressions, mV [leads, n], each of its own length and depth, with two harmonics."""
    rate, depth = rng.uniform(90.0, 140.0), rng.uniform(1.0, 4.0)
    second, third = rng.uniform(0.0, 0.3), rng.uniform(0.0, 0.1)
    x, at = np.zeros(n), 0
    while at < n:
        size = round(60.0 / rate * (1.0 + 0.04 * rng.standard_normal()) * fs_hz)
        t = 2 * np.pi * np.arange(size) / size
        wave = np.sin(t) + second * np.sin(2 * t + 0.5) + third * np.sin(3 * t) - second * np.sin(0.5)
        x[at : at + size] = (depth / 2 * (1.0 + 0.1 * rng.standard_normal()) * wave)[: n - at]
        at += size
    gain = rng.uniform(0.5, 1.0, (leads, 1)) * rng.choice([-1.0, 1.0], (leads, 1))
    return (gain / np.abs(gain).max() * x).astype(np.float32)


def simulated(data: Path) -> Iterator[Piece]:
    """Compressions over three rhythms; a new draw for each piece of recording."""
    from models.evaluation.splices import scripted

    rng = np.random.default_rng(3)
    wanted = {"VFIB": "fibrillation", "ASYSTOLE": "standstill", "EXTREME_BRADY": "sinus rhythm"}
    for s in scripted(data):
        if s.code not in wanted:
            continue
        rhythm, start = wanted[s.code], s.onset if s.code != "EXTREME_BRADY" else 0
        record, _, fibrillating = s.name.partition("+")
        half = half_of("cudb", fibrillating) if fibrillating else half_of("mitdb", record)
        mv = s.ecg.mv[:, start : start + round(SECONDS * s.ecg.fs_hz)]
        for _ in range(DRAWS):
            part = mv + compressions(mv.shape[1], s.ecg.fs_hz, len(mv), rng)
            yield Piece(rhythm, s.name, half, s.ecg.leads, reduced(part, s.ecg.fs_hz))


def real(data: Path, limit: int) -> Iterator[Piece]:
    """The recordings in which nobody compresses."""
    with (data / "cinc2015" / "manifest.csv").open() as f:
        blocks = {row["record"]: int(row["patient_block"]) for row in csv.DictReader(f)}
    for source, folder in NEGATIVE.items():
        headers = sorted((data / folder).glob("*.hea"))
        for header in headers[: limit or None]:
            ecg = read_record(header.with_suffix(""))
            stop = min(ecg.n_samples, round((300.0 if source == "cinc2015" else 1e9) * ecg.fs_hz))
            half = blocks[header.stem] % 2 if source == "cinc2015" else half_of(source, header.stem)
            yield Piece(source, header.stem, half, ecg.leads, reduced(ecg.slice(0, stop).mv, ecg.fs_hz))


def half_of(source: str, record: str) -> int:
    """Half of a patient of VFDB, CUDB or MIT-BIH; records that are or may be of one patient are in the same.

    >>> half_of("mitdb", "201") == half_of("mitdb", "202"), half_of("vfdb", "418") == half_of("vfdb", "419")
    (True, True)
    """
    from models.training.rhythm_folds import fold_of

    if source == "vfdb":
        return fold_of(source, record) % 2
    number = int("".join(c for c in record if c.isdigit()))
    return number % 2 if source == "cudb" else number // 10 % 2


def reduced(mv: Array, fs_hz: float) -> Array:
    """Means of `fs_hz` / `FS_HZ` samples, [leads, samples]."""
    from models.signal.conditioning import fill_gaps, resample

    return resample(fill_gaps(np.asarray(mv, np.float32))[0], fs_hz, FS_HZ)


def named(piece: Piece) -> NDArray[np.float64]:
    """For each second the largest of `SHARES` by which two windows in a row name compressions; 0 where none does."""
    n = round(motion.WINDOW_S * FS_HZ)
    ends = range(n, piece.mv.shape[1] + 1, round(FS_HZ))
    each = np.array([largest_share(piece, piece.mv[:, end - n : end]) for end in ends])
    return np.minimum(each[1:], each[:-1]) if len(each) > 1 else np.zeros(0)


def largest_share(piece: Piece, mv: Array) -> float:
    """The largest of `SHARES` by which a window names compressions; 0 where none does."""
    shipped, largest = motion.MIN_SHARE, 0.0
    for share in SHARES:
        motion.MIN_SHARE = share
        if motion.repetitive_motion(piece.leads, mv, FS_HZ) is None:
            break
        largest = share
    motion.MIN_SHARE = shipped
    return largest


@dataclass(frozen=True)
class Looked:
    """What one piece showed: source, name, half, and `named`."""

    source: str
    name: str
    half: int
    named: NDArray[np.float64]


def found(pieces: list[Looked], share: float) -> float:
    """Share of the simulated pieces in which compressions are named."""
    return float(np.mean([(p.named >= share).any() for p in pieces]))


def choose(simulation: list[Looked], half: int) -> float:
    """The share of the power that is chosen on a half of the patients."""
    ours = [p for p in simulation if p.half == half]
    return max([share for share in SHARES if found(ours, share) >= WANTED], default=SHARES[0])


def table(simulation: list[Looked], reality: list[Looked]) -> str:
    """The committed page."""
    rhythms = list(dict.fromkeys(p.source for p in simulation))
    lines = [
        "# Chest compressions",
        "",
        "`python benchmarks/compressions.py`: waves of 90 to 140 a minute and 1 to 4 mV, simulated over real",
        f"recordings, {len(simulation)} pieces of {SECONDS:g} s. Named: by two windows of {motion.WINDOW_S:g} s in a "
        "row, as `NOISY_SIGNAL` needs.",
        "The share of the power that the first harmonic needs is chosen on one half of the patients, as the largest",
        f"that names {100 * WANTED:g} % of the simulated pieces, and reported on the other.",
        "",
        f"| patients | share | chosen on | {' | '.join(f'named over {r}' for r in rhythms)} |",
        "|" + "---|" * (3 + len(rhythms)),
    ]
    rows = [(half, choose(simulation, 1 - half), f"half {1 - half}") for half in (0, 1)]
    rows += [(half, motion.MIN_SHARE, "both: that of the code") for half in (0, 1)]
    for half, share, chosen in rows:
        cells = [found([p for p in simulation if p.half == half and p.source == r], share) for r in rhythms]
        lines.append(f"| half {half} | {share:g} | {chosen} | {' | '.join(f'{100 * c:.0f} %' for c in cells)} |")
    lines += [
        "",
        "Named where nobody is known to compress:",
        "",
        "| recordings | patients | share | chosen on | records | hours | seconds named | where |",
        "|" + "---|" * 8,
    ]
    for source, title in TITLES.items():
        for half, share, chosen in rows:
            own = [p for p in reality if p.source == source and p.half == half]
            if not own:
                continue
            where = {p.name: int((p.named >= share).sum()) for p in own}
            words = ", ".join(f"{name} {n} s" for name, n in where.items() if n)
            hours = sum(len(p.named) for p in own) / 3600
            lines.append(
                f"| {title} | half {half} | {share:g} | {chosen} | {len(own)} | {hours:.1f} | {sum(where.values())} "
                f"| {words or '–'} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Look at both, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--limit", type=int, default=0, help="so many records of each source only")
    parser.add_argument("--out", type=Path, default=HERE / "compressions.md")
    options = parser.parse_args()
    looked = [
        [Looked(p.source, p.name, p.half, named(p)) for p in pieces]
        for pieces in (simulated(options.data), real(options.data, options.limit))
    ]
    options.out.write_text(table(*looked))
    print(options.out.read_text())


if __name__ == "__main__":
    main()
