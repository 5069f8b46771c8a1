"""The page of `benchmarks/alarms.py`: its stored results as Markdown."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.arrhythmia.codes import CODES

LETHAL = ("ASYSTOLE", "VFIB", "VTACH", "EXTREME_BRADY", "EXTREME_TACHY")
NEAR_S = 3.0  # an alarm whose condition began or was seen this near an annotated episode belongs to it
BY_FOLD = "Weights: never saw the record's fold."
SAME = "Thresholds: some were chosen on these same records."
PARTS = {  # part: heading, and what its weights and thresholds had seen
    "cinc2015": (
        "True and false ICU alarms, CinC 2015, ECG alone",
        f"{BY_FOLD} {SAME} On other patients: [halves](alarm_halves.md).",
    ),
    "vfdb": (
        "Lethal rhythms, VFDB",
        "Weights: trained on no record of VFDB. Thresholds: the rules for regular waves were written on these records.",
    ),
    "cudb": (
        "Lethal rhythms, CUDB (VF: any shockable rhythm, labels of five seconds)",
        f"Weights: every fold's rhythm network saw pieces of these records; the rows are optimistic. {SAME}",
    ),
    "delays": (
        "Delay from onset to detection, scripted episodes in real recordings",
        "Weights: never saw the fold of the MIT-BIH recording; every fold's rhythm network saw pieces of CUDB, where "
        "the fibrillation is from. Thresholds: some were chosen on the same recordings.",
    ),
    "mitdb": ("Lethal alarms on MIT-BIH", f"{BY_FOLD} {SAME}"),
    "af": ("Atrial fibrillation, CinC 2017", f"{BY_FOLD} {SAME}"),
    "burden_mitdb": ("Burden on MIT-BIH", f"{BY_FOLD} {SAME}"),
    "burden_vfdb": ("Burden on VFDB", "Weights: trained on no record of VFDB."),
}
HEAD = (
    "Written by `python benchmarks/alarms.py` from alarms.json; `--parts NAME` remakes one part. Each part names its",
    "day and the code that it measured: a hash of the product's sources, or a commit. Constants of the criteria are",
    "the same for all folds: where they were chosen on the records of a part, expect less of new patients. How far",
    "lethal events depend on the fraction of a second at which the signal begins: [phases](alarm_phases.md).",
)
BURDEN = {
    "burden_mitdb": "MIT-BIH",
    "cinc2015": "CinC 2015, before the scored alarm",
    "burden_vfdb": "VFDB, clean rhythm",
}
BURDEN_S = 290.0  # of each record of CinC 2015


def table(parts: dict[str, Any]) -> str:
    """The committed page."""
    lines = ["# Alarms", "", *HEAD, ""]
    sections = {
        "cinc2015": scored_lines,
        "vfdb": lethal_lines,
        "cudb": lethal_lines,
        "delays": delay_lines,
        "mitdb": mitdb_lines,
        "af": af_lines,
    }
    for name, section in sections.items():
        if name in parts:
            heading, seen = PARTS[name]
            lines += [f"## {heading}", "", f"{measured(parts[name])} {seen}", "", *section(parts[name]["result"])]
    return "\n".join(lines + burden_lines(parts)).rstrip() + "\n"


def measured(part: dict[str, Any]) -> str:
    """Day and code of a part."""
    return f"Measured {part['day']}, code `{part['code']}`."


def af_lines(result: dict[str, Any]) -> list[str]:
    """CinC 2017: records of 20 s and more."""
    r, some = result["long"], result["records"] < result["of"]
    sample = f", evenly spaced among {result['of']}" if some else ""
    return [
        f"{result['records']} records{sample}; of these, those of 20 s and more (confirmed over 8 s):",
        "",
        "| Se | Sp | +P | F1 | F1 as in the whole set | N / O / noisy called AF |",
        "|" + "---|" * 6,
        f"| {r['Se']} | {r['Sp']} | {r['PP']} | {r['F1']} | **{r['F1nat']}** | "
        f"{r['N_called']} / {r['O_called']} / {r['noisy_called']} % |",
        "",
    ]


def delay_lines(result: dict[str, Any]) -> list[str]:
    """Delays by code, s."""
    lines = ["| code | episodes | detected | median, s | worst, s |", "|---|---|---|---|---|"]
    for code, values in result["delays"].items():
        seen = [v for v in values if v is not None]
        lines.append(f"| {code} | {len(values)} | {len(seen)} | {np.median(seen):.1f} | {max(seen):.1f} |")
    return [*lines, ""]


def mitdb_lines(result: dict[str, Any]) -> list[str]:
    """Lethal alarms by code, and where no annotation explains them."""
    lines = [
        f"{result['hours']} h; outside: no annotated beats within {NEAR_S:g} s meet the alarm's own limits:",
        "",
        "| code | alarms | outside | where |",
        "|---|---|---|---|",
    ]
    for code in LETHAL:
        where = [f"{name} {at:g} s" for name, c, at in result["outside"] if c == code]
        lines.append(f"| {code} | {result['counts'].get(code, 0)} | {len(where)} | {', '.join(where)} |")
    return [*lines, ""]


def scored_lines(r: dict[str, Any]) -> list[str]:
    """CinC 2015: score by type, and the burden by class."""
    lines = [
        f"{r['records']} records:",
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
    ]
    return lines


def lethal_lines(result: dict[str, Any]) -> list[str]:
    """VFDB or CUDB: sensitivity by rhythm, specificity and false alarms."""
    lines: list[str] = []
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


def burden_lines(parts: dict[str, Any]) -> list[str]:
    """Sounded alarms a bed and day."""
    lines = [
        "## Burden: sounded alarms a bed and day",
        "",
        "Over the whole life cycle, as a nurse hears them: what a worse alarm of the same chain speaks for, and what",
        "is repeated too early, does not sound. Weights and thresholds as above.",
        "",
        "| recordings | hours | high | medium | low | all | most frequent | day, code |",
        "|" + "---|" * 8,
    ]
    for name, words in BURDEN.items():
        if name not in parts:
            continue
        at = sounded_on_cinc2015(parts[name]["result"]) if name == "cinc2015" else parts[name]["result"]
        days = at["seconds"] / 86400
        each = [at["priority"].get(p, 0) for p in ("PH", "PM", "PL")]
        most = ", ".join(f"{c} {n / days:.0f}" for c, n in sorted(at["code"].items(), key=lambda kv: -kv[1])[:4])
        rates = " | ".join(f"{n / days:.0f}" for n in (*each, sum(each)))
        when = f"{parts[name]['day']}, `{parts[name]['code']}`"
        lines.append(f"| {words} | {at['seconds'] / 3600:.1f} | {rates} | {most} | {when} |")
    return [
        *lines,
        "",
        "The recordings were chosen for their arrhythmias; whole units (Drew 2014): 187 a bed and day.",
        "",
    ]


def sounded_on_cinc2015(result: dict[str, Any]) -> dict[str, Any]:
    """Seconds, and sounded alarms by priority and code, from the scorer's alarms an hour."""
    hours = result["records"] * BURDEN_S / 3600
    code = {c: rate * hours for c, rate in (result["burden_per_hour"] | result["technical_per_hour"]).items()}
    priority: dict[str, float] = {}
    for c, n in code.items():
        priority[CODES[c].priority] = priority.get(CODES[c].priority, 0.0) + n
    return {"seconds": hours * 3600, "priority": priority, "code": code}
