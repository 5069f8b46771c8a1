"""Benchmark of the alarms: true and false ICU alarms, atrial fibrillation, delay, alarm burden. Writes alarms.md.

    python benchmarks/alarms.py [--score DIR] [--data DIR] [--parts scored,af,delays,mitdb] [--kept DIR] [--limit N]

`scored` and `af` run the scorers alarms.py and af.py of the score folder on the command line with ``--folds``: each
record is analysed with weights that were trained without its fold. `delays` runs the rhythm tier over scripted episodes
spliced into real recordings (`models.evaluation.splices`). `mitdb` counts lethal alarms on MIT-BIH outside of the
annotated episodes. Each part stores its result in ``--kept``, so that the parts can run one at a time; the table has
all stored results.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
LETHAL = ("ASYSTOLE", "VFIB", "VTACH", "EXTREME_BRADY", "EXTREME_TACHY")
NEAR_S = 15.0  # an alarm this near an annotated episode belongs to it
NOTES = ("Thresholds that are no weights (constants with a reason beside them) were chosen on these same recordings.",)
PARTS = ("scored", "af", "delays", "mitdb")


def scorer(name: str, options: argparse.Namespace, folds: str) -> dict[str, Any]:
    """The RESULT of one scorer."""
    command = [
        sys.executable,
        str(options.score / f"{name}.py"),
        "--predictor",
        options.predictor,
        "--data",
        str(options.data),
        "--folds",
        str(options.score / "folds" / folds),
    ]
    if options.limit:
        command += ["--limit", str(options.limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=HERE.parent)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1].removeprefix("RESULT "))
    return result


def delays(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds from onset to detection on every scripted episode, by code; None where it was missed."""
    from models.arrhythmia.tier import find_episodes
    from models.evaluation.splices import scripted

    out: dict[str, list[float | None]] = {}
    for s in scripted(options.data):
        found = [e for e in find_episodes(s.ecg) if e.code == s.code and e.detected > s.onset]
        delay = (found[0].detected - s.onset) / s.ecg.fs_hz if found else None
        out.setdefault(s.code, []).append(None if delay is None else round(delay, 2))
    return {"delays": out}


def mitdb(options: argparse.Namespace) -> dict[str, Any]:
    """Lethal alarms of each MIT-BIH recording, and those that nothing annotated explains; CPU time of it all."""
    import wfdb

    from models.arrhythmia.tier import find_episodes
    from models.records import read_record

    counts, outside, seconds, cpu = Counter[str](), [], 0.0, time.process_time()
    for header in sorted((options.data / "mitdb" / "data").glob("*.hea"))[: options.limit or None]:
        path = header.with_suffix("")
        ecg, marks = read_record(path), wfdb.rdann(str(path), "atr")
        fold = options.fold_of_mitdb[path.name] if options.fold_of_mitdb else None
        seconds += ecg.duration_s
        known = explained(np.asarray(marks.sample) / ecg.fs_hz, list(marks.symbol))
        for e in find_episodes(ecg, fold=fold):
            if e.code in LETHAL:
                counts[e.code] += 1
                at = e.onset / ecg.fs_hz
                if not any(code == e.code and a - NEAR_S <= at <= b + NEAR_S for code, a, b in known):
                    outside.append([path.name, e.code, round(at, 1)])
    return {
        "hours": round(seconds / 3600, 2),
        "counts": dict(counts),
        "outside": outside,
        "cpu_ms_per_bed_second": round((time.process_time() - cpu) * 1000 / seconds, 2),
    }


def explained(at_s: np.ndarray[Any, Any], symbols: list[str]) -> list[tuple[str, float, float]]:
    """Spans in which the annotations themselves meet a lethal criterion: (code, from, to)."""
    out = [
        ("VFIB", float(a), float(b))
        for a, b in zip(at_s[[s == "[" for s in symbols]], at_s[[s == "]" for s in symbols]], strict=False)
    ]
    beat = np.array([s in "NLRBAaJSVrFejnE/fQ" for s in symbols])
    r, kinds = at_s[beat], [s for s, is_beat in zip(symbols, beat, strict=True) if is_beat]
    rr = np.diff(r)
    out += [("ASYSTOLE", float(r[k]), float(r[k + 1])) for k in np.flatnonzero(rr > 3.5)]
    rates = (("EXTREME_TACHY", 16, lambda m: m < 60 / 135), ("EXTREME_BRADY", 4, lambda m: m > 60 / 45))
    for code, n, holds in rates:
        mean = np.convolve(rr, np.full(n, 1 / n), "valid")
        out += [(code, float(r[k]), float(r[k + n])) for k in np.flatnonzero(holds(mean))]
    run: list[int] = []
    for k, kind in enumerate([*kinds, "N"]):
        if kind in "VE":
            run.append(k)
            continue
        if len(run) >= 4 and 60 * (len(run) - 1) / (r[run[-1]] - r[run[0]]) > 95:
            out.append(("VTACH", float(r[run[0]]), float(r[run[-1]])))
        run = []
    out += [("VTACH", a, b) for code, a, b in out if code == "VFIB"]
    return out


def table(kept: Path) -> str:
    """The committed page."""
    parts = {p: json.loads((kept / f"{p}.json").read_text()) for p in PARTS if (kept / f"{p}.json").exists()}
    lines = [
        "# Alarms",
        "",
        "`python benchmarks/alarms.py`; cross-validated: each record by weights that never saw its fold.",
        *NOTES,
        "",
    ]
    if "scored" in parts:
        lines += scored_lines(parts["scored"])
    if "af" in parts:
        r = parts["af"]["long"]
        lines += [
            "## Atrial fibrillation, CinC 2017, 20 s and more (confirmed over 8 s)",
            "",
            "| Se | Sp | +P | F1 | F1 as in the whole set | N / O / noisy called AF |",
            "|" + "---|" * 6,
            f"| {r['Se']} | {r['Sp']} | {r['PP']} | {r['F1']} | **{r['F1nat']}** | "
            f"{r['N_called']} / {r['O_called']} / {r['noisy_called']} % |",
            "",
        ]
    if "delays" in parts:
        lines += [
            "## Delay from onset to detection, scripted episodes in real recordings, s",
            "",
            "| code | episodes | detected | median | worst |",
            "|---|---|---|---|---|",
        ]
        for code, values in parts["delays"]["delays"].items():
            seen = [v for v in values if v is not None]
            lines.append(f"| {code} | {len(values)} | {len(seen)} | {np.median(seen):.1f} | {max(seen):.1f} |")
        lines.append("")
    if "mitdb" in parts:
        m = parts["mitdb"]
        lines += [
            "## Lethal alarms on MIT-BIH",
            "",
            f"{m['hours']} h; outside of what the annotations explain:",
            "",
            "| code | alarms | outside | where |",
            "|---|---|---|---|",
        ]
        for code in LETHAL:
            where = [f"{name} {at:g} s" for name, c, at in m["outside"] if c == code]
            lines.append(f"| {code} | {m['counts'].get(code, 0)} | {len(where)} | {', '.join(where[:8])} |")
        lines += ["", f"CPU: {m['cpu_ms_per_bed_second']} ms a bed-second, two leads, one core."]
    return "\n".join(lines) + "\n"


def scored_lines(r: dict[str, Any]) -> list[str]:
    """CinC 2015: score by type, and the burden by class."""
    lines = [
        f"## True and false ICU alarms, CinC 2015, ECG alone ({r['records']} records)",
        "",
        "| type | true | false | TP | FN | FP | TN | TPR | TNR | score |",
        "|" + "---|" * 10,
    ]
    for name, t in [*r["by_type"].items(), ("**all**", r["all"])]:
        keys = ("true", "false", "TP", "FN", "FP", "TN", "TPR", "TNR", "score")
        lines.append(f"| {name} | " + " | ".join(str(t[k]) for k in keys) + " |")
    delay = r["delay_s"] or ["–", "–"]
    lines += [
        "",
        f"Strict score {r['strict_score']}; delay of the alarms raised: median {delay[0]} s, longest "
        f"{delay[1]} s; a lethal condition was on {r['alarm_on']} % of the time; failures {r['failures']}.",
        "",
        "### Burden: sounded alarms before the scored one",
        "",
        "| class | an hour | a bed and day |",
        "|---|---|---|",
    ]
    for code, rate in sorted(r["burden_per_hour"].items(), key=lambda kv: -kv[1]):
        lines.append(f"| {code} | {rate} | {24 * rate:.0f} |")
    lethal, total = r["burden_per_hour_lethal"], r["burden_per_hour_total"]
    lines += [
        f"| lethal codes | {lethal} | {24 * lethal:.0f} |",
        f"| **all** | {total} | {24 * total:.0f} |",
        "",
        "These patients were chosen for their alarms; whole units (Drew 2014): 187 a bed and day.",
        "",
    ]
    return lines


def main() -> None:
    """Score, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--score", type=Path, default=HERE.parent.parent / "shared" / "score")
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--predictor", default=f"{Path(sys.executable).parent / 'gem-bedside'}")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--kept", type=Path, default=HERE.parent / ".gem-bedside" / "benchmarks")
    parser.add_argument("--limit", type=int, default=0, help="so many records only")
    parser.add_argument("--out", type=Path, default=HERE / "alarms.md")
    options = parser.parse_args()
    options.kept.mkdir(parents=True, exist_ok=True)
    rows = (options.score / "folds" / "mitdb.csv").read_text().splitlines()[1:]
    options.fold_of_mitdb = dict(row.split(",")[:2] for row in rows)
    work = {
        "scored": lambda: scorer("alarms", options, "cinc2015.csv"),
        "af": lambda: scorer("af", options, "cinc2017.csv"),
        "delays": lambda: delays(options),
        "mitdb": lambda: mitdb(options),
    }
    for part in options.parts.split(","):
        (options.kept / f"{part}.json").write_text(json.dumps(work[part]()))
    options.out.write_text(table(options.kept))
    print(options.out.read_text())


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    main()
