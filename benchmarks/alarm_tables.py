"""The page of `benchmarks/alarms.py`: its stored results as Markdown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

LETHAL = ("ASYSTOLE", "VFIB", "VTACH", "EXTREME_BRADY", "EXTREME_TACHY")
NEAR_S = 3.0  # an alarm whose condition began or was seen this near an annotated episode belongs to it
PARTS = ("scored", "vfdb", "cudb", "af", "delays", "mitdb", "burden")
HEAD = (
    "`python benchmarks/alarms.py`. CinC 2015, CinC 2017 and MIT-BIH are analysed with weights that never saw the",
    "record's fold, that is its patient as far as patients are known. No weights were trained on VFDB. The rhythm",
    "network of every fold was trained on pieces of CUDB: its rows, and the fibrillation of the delays, are",
    "optimistic. Constants of the criteria are the same for all folds, and some were chosen on these recordings:",
    "expect less of new patients. Those of `EXTREME_TACHY`, chosen on other patients: [halves](alarm_halves.md).",
)


def stored(kept: Path) -> dict[str, Any]:
    """Results of the parts that have run."""
    return {p: json.loads((kept / f"{p}.json").read_text()) for p in PARTS if (kept / f"{p}.json").exists()}


def table(parts: dict[str, Any]) -> str:
    """The committed page."""
    lines = [
        "# Alarms",
        "",
        *HEAD,
        "",
    ]
    if "scored" in parts:
        lines += scored_lines(parts["scored"])
    for source, title in (("vfdb", "VFDB"), ("cudb", "CUDB (labels of five seconds)")):
        if source in parts:
            lines += lethal_lines(title, parts[source])
    if "af" in parts:
        r = parts["af"]["long"]
        lines += [
            f"## Atrial fibrillation, CinC 2017, {parts['af']['records']} records, those of 20 s and more "
            "(confirmed over 8 s)",
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
            f"{m['hours']} h; outside: no annotated beats within {NEAR_S:g} s meet the alarm's own limits:",
            "",
            "| code | alarms | outside | where |",
            "|---|---|---|---|",
        ]
        for code in LETHAL:
            where = [f"{name} {at:g} s" for name, c, at in m["outside"] if c == code]
            lines.append(f"| {code} | {m['counts'].get(code, 0)} | {len(where)} | {', '.join(where[:8])} |")
        lines += ["", f"CPU: {m['cpu_ms_per_bed_second']} ms a bed-second, two leads, one core.", ""]
    if "burden" in parts:
        lines += burden_lines(parts["burden"])
    return "\n".join(lines).rstrip() + "\n"


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


def lethal_lines(title: str, result: dict[str, Any]) -> list[str]:
    """VFDB or CUDB: sensitivity by rhythm, specificity and false alarms."""
    lines = [f"## Lethal rhythms, {title}", ""]
    for group in ("all", "without 418"):
        if group not in result:
            continue
        g = result[group]
        lines += [
            f"{'All records' if group == 'all' else 'Without record 418'}:",
            "",
            "| rhythm | episodes of 5 s and more | in 10 s % | by its exact code % | ever % | delay median, 90 % s |",
            "|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {name} | {r['episodes']} | {r['in_time']} | {r['exact']} | {r['ever']} | {r['delay']} |"
            for name, r in ((name, g[name]) for name in ("VF", "VT", "ASYS"))
            if r["episodes"]
        ]
        rates = "; ".join(
            f"{where} {v['vf_vt_asys']} an hour ({v['hours']} h)"
            for where, v in g["false_per_hour"].items()
            if v["hours"]
        )
        lines += ["", f"Specificity {g['Sp'][1]} % of the seconds; false VFIB, VTACH, ASYSTOLE: {rates}.", ""]
    return lines


def burden_lines(result: dict[str, Any]) -> list[str]:
    """Sounded alarms a bed and day."""
    lines = [
        "## Burden: sounded alarms a bed and day, whole life cycle",
        "",
        "| recordings | hours | high | medium | low | most frequent |",
        "|---|---|---|---|---|---|",
    ]
    names = {"mitdb": "MIT-BIH", "cinc2015": "CinC 2015, before the scored alarm", "vfdb": "VFDB, clean rhythm"}
    for source, at in result.items():
        days = at["seconds"] / 86400
        each = " | ".join(f"{at['priority'].get(p, 0) / days:.0f}" for p in ("PH", "PM", "PL"))
        most = sorted(at["code"].items(), key=lambda kv: -kv[1])[:4]
        words = ", ".join(f"{code} {n / days:.0f}" for code, n in most)
        lines.append(f"| {names[source]} | {at['seconds'] / 3600:.1f} | {each} | {words} |")
    return [
        *lines,
        "",
        "The recordings were chosen for their arrhythmias; whole units (Drew 2014): 187 a bed and day.",
        "",
    ]
