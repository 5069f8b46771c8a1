"""Corruptions of true alerts: each makes one statement or citation false, and says which.

A corruption moves the positions of the claims with the text, so that positions give nothing away. It is made only where
the result is false by the document or by the signal: a number differs from its citation, a value is outside every
tolerance of a measurement, a span is moved off its wave, a finding is replaced by one that the cited value excludes.
"""

from __future__ import annotations

import copy
import hashlib
import re
import tomllib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

Alert = dict[str, Any]
NUMBER = re.compile(r"(?<![\w.\[])([-−+]?)(\d+(?:\.\d+)?) (bpm|ms|mV|s)\b")
SENTENCE = re.compile(r"(?<=[.;])\s+(?=[A-Z\d])")
FALSE_SHARES = {"HR": 0.25, "QTc": 0.25, "QTcF": 0.25, "RR": 0.3, "SILENCE": 0.3} | dict.fromkeys(
    ("P", "PR", "QRS", "QT"), 0.3
)
ACCURACY_BPM = 5.0  # of a detected rate
OTHER_UNITS = {"bpm": "ms", "ms": "mV", "mV": "bpm", "s": "ms"}
_TABLES = tomllib.loads((Path(__file__).parent / "falsehoods.toml").read_text("utf-8"))


def replace_text(alert: Alert, start: int, end: int, new: str) -> None:
    """Replace a piece of the text, with the positions and texts of the claims."""
    words, shift = alert["interpretation"], len(new) - (end - start)
    words["text"] = words["text"][:start] + new + words["text"][end:]
    for claim in words["claims"]:
        if claim["start"] is None:
            continue
        if claim["start"] >= end:
            claim["start"] += shift
        if claim["end"] >= end:
            claim["end"] += shift
        claim["end"] = max(claim["end"], claim["start"])
        claim["text"] = words["text"][claim["start"] : claim["end"]]


def _sentence_end(text: str, at: int) -> int:
    following = SENTENCE.search(text, at)
    return following.start() if following else len(text)


def _cited_after(alert: Alert, at: int) -> dict[str, Any] | None:
    text = alert["interpretation"]["text"]
    group = re.search(r"\[(\d+)\]", text[at : _sentence_end(text, at)])
    found = [c for c in alert["citations"] if group and c["n"] == int(group[1])]
    return found[0] if found else None


def _move(alert: Alert, c: dict[str, Any], start: int, end: int) -> None:
    """Move a citation to other samples, consistently in all its fields."""
    fs, origin = alert["segment"]["sampling_rate"], datetime.fromisoformat(alert["segment"]["start"])
    by = start - c["start_sample"]
    for key, at in (("start", start), ("end", end)):
        c[f"{key}_sample"], c[f"{key}_s"] = at, round(at / fs, 6)
        c[key] = (origin + timedelta(seconds=at / fs)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    for beat in c["beats"]:
        for key in ("r_sample", "start_sample", "end_sample"):
            beat[key] = min(max(beat[key] + by, start), end)


def _number(rng: Random, alert: Alert) -> str | None:
    """A displayed number that is not the value cited."""
    text = alert["interpretation"]["text"]
    rules = [c["criterion"]["rule"] for c in alert["citations"] if c["criterion"]]
    found = [m for m in NUMBER.finditer(text) if "0.1 mV" not in m[0] and not any(m[0] in r for r in rules)]
    if not found:
        return None
    m = rng.choice(found)
    value, digits = float(m[2]), len(m[2].partition(".")[2])
    new = value * rng.choice([0.5, 0.7, 0.85, 1.15, 1.3, 1.6, 2.0]) + rng.choice([-2, 2]) * 10.0**-digits
    shown = f"{abs(new):.{digits}f}"
    if abs(float(shown) - value) < 1.5 * 10.0**-digits:
        return None
    replace_text(alert, m.start(2), m.end(2), shown)
    return f"{m[0]} as {shown}"


def _unit(rng: Random, alert: Alert) -> str | None:
    """Another unit, in the text or in a citation."""
    text = alert["interpretation"]["text"]
    found = [m for m in NUMBER.finditer(text) if "0.1 mV" not in m[0] and _cited_after(alert, m.start())]
    if rng.random() < 0.5 or not found:
        c = rng.choice(alert["citations"])
        c["unit"] = rng.choice([u for u in ("ms", "s", "mV", "bpm") if u != c["unit"]])
        return f"[{c['n']}] {c['measure']} in {c['unit']}"
    m = rng.choice(found)
    replace_text(alert, m.start(3), m.end(3), OTHER_UNITS[m[3]])
    return f"{m[0]} in {OTHER_UNITS[m[3]]}"


def _value(rng: Random, alert: Alert) -> str | None:
    """A cited value that the span does not give; half of the time the text displays it too."""
    c = rng.choice(alert["citations"])
    old = c["value"]
    if c["measure"] in FALSE_SHARES:
        share = FALSE_SHARES[c["measure"]] + rng.random() * 0.4
        c["value"] = round(old * (1 + share if rng.random() < 0.5 else 1 - share * 0.9), 4)
    elif c["measure"] == "REGULARITY":
        c["value"] = old + 0.25 + rng.random() * 0.3 if old < 0.2 else old / 4
    elif c["measure"] == "ABSENT_P" and abs(1 - 2 * old) > 0.6:
        c["value"] = 1 - old
        if not re.search(rf"P waves[^.]*\[{c['n']}\]", alert["interpretation"]["text"]):
            return None
    elif c["measure"] == "ST":
        c["value"] = old + rng.choice([-1, 1]) * (0.15 + rng.random())
    elif c["measure"] == "AMPLITUDE":
        c["value"] = old + (0.35 + 0.5 * abs(old)) * rng.choice([-1, 1])
    else:
        return None
    for beat in c["beats"]:
        beat["value"] = c["value"] if beat["value"] == old else beat["value"]
    if rng.random() < 0.5:
        _display(alert, c, old)
    return f"[{c['n']}] {c['measure']} {old:.4g} as {c['value']:.4g}"


def _display(alert: Alert, c: dict[str, Any], old: float) -> None:
    """Write a citation's changed value into the text wherever the old one is displayed."""
    for m in reversed(list(NUMBER.finditer(alert["interpretation"]["text"]))):
        digits = len(m[2].partition(".")[2])
        if m[3] == c["unit"] and m[2] == f"{abs(old):.{digits}f}":
            replace_text(alert, m.start(1), m.end(2), f"{c['value']:.{digits}f}")


def _span(rng: Random, alert: Alert) -> str | None:
    """A span beside its wave or beats, all its fields consistent; or a wave that ends elsewhere, its value adapted."""
    fs, n = alert["segment"]["sampling_rate"], round(alert["segment"]["duration_s"] * alert["segment"]["sampling_rate"])
    rate = next((c["value"] for c in alert["citations"] if c["measure"] == "HR" and not c["criterion"]), None)
    even = any(c["measure"] == "REGULARITY" and c["value"] < 0.08 for c in alert["citations"])
    if rate is None or not even or not 45 <= rate <= 110:
        return None
    c = rng.choice(alert["citations"])
    a, b, old = c["start_sample"], c["end_sample"], c["value"]
    if c["measure"] in ("QRS", "QT") and rng.random() < 0.5:
        end = b + rng.choice([-1, 1]) * round((0.25 if c["measure"] == "QT" else 0.12) * fs)
        if not a + 0.02 * fs < end < n - 0.07 * fs or (end - a) / fs < 0.05:
            return None
        _move(alert, c, a, end)
        c["value"] = round((end - a) / fs * 1000, 3)
        for beat in c["beats"]:
            beat["value"], beat["end_sample"] = c["value"], end
        _display(alert, c, old)
        return f"[{c['n']}] {c['measure']} ends at {end}"
    if c["measure"] not in ("QRS", "PR", "QT", "QTcF", "RR", "HR", "REGULARITY", "ST"):
        return None
    reach = 60 / rate - 0.2
    by = round(rng.choice([-1, 1]) * (0.2 + rng.random() * (reach - 0.2)) * fs) if reach > 0.2 else 0
    if not by or not 0.07 * fs <= a + by < b + by <= n - 0.07 * fs or c["measure"] == "QTcF":
        return None
    _move(alert, c, a + by, b + by)
    return f"[{c['n']}] {c['measure']} moved by {by / fs:+.3f} s"


def _lead(rng: Random, alert: Alert) -> str | None:
    """A lead that the segment lacks, or another lead than the one cited."""
    text, known = (
        alert["interpretation"]["text"],
        {x for c in alert["citations"] for x in c["leads"]} | set(alert["leads"]),
    )
    if rng.random() < 0.5:
        c = rng.choice(alert["citations"])
        missing = rng.choice([x for x in ("V7", "V9", "X", "V3R", "MCL6") if x not in known])
        c["leads"] = [*c["leads"][:-1], missing]
        return f"[{c['n']}] in {missing}"
    leads = re.finditer(r"\b(?:in|In|maximum in|lead|leads) (aV[RLF]|V[1-6]|I{1,3})\b(?![–-])", text)
    cited = [m for m in leads if "within" not in text[max(0, m.start() - 40) : m.start()]]
    if not cited:
        return None
    m = rng.choice(cited)
    end = _sentence_end(text, m.end())
    begin = max(text.rfind(". ", 0, m.start()), 0)
    named = set(re.findall(r"aV[RLF]|V[1-6]|\bI{1,3}\b", text[begin:end])) | {
        x
        for n in re.findall(r"\[(\d+)\]", text[begin:end])
        for c in alert["citations"]
        if c["n"] == int(n)
        for x in c["leads"]
    }
    others = [x for x in ("I", "II", "III", "aVL", "V1", "V2", "V4", "V6") if x not in named]
    if not others or "–" in text[m.start() : m.end() + 8] or len(re.findall(r"\[\d+\]", text[m.end() : end])) > 3:
        return None
    new = rng.choice(others)
    replace_text(alert, m.start(1), m.end(1), new)
    return f"{m[1]} as {new}"


def _sign(rng: Random, alert: Alert) -> str | None:
    """The other sign, in the citation and the text, or in the text alone."""
    found = [
        c
        for c in alert["citations"]
        if c["measure"] in ("ST", "AMPLITUDE")
        and abs(c["value"]) >= (0.2 if c["wave"] else 0.1)
        and c["wave"] != "fibrillation"
    ]
    if not found:
        return None
    c = rng.choice(found)
    old = c["value"]
    shown = [
        m
        for m in NUMBER.finditer(alert["interpretation"]["text"])
        if m[3] == "mV"
        and "0.1 mV" not in m[0]
        and abs(abs(old) - float(m[2])) < 0.006
        and _cited_after(alert, m.start()) is c
    ]
    if shown and rng.random() < 0.5:
        m = rng.choice(shown)
        replace_text(alert, m.start(1), m.end(1), "+" if m[1] in ("-", "−") else "−")
        return f"{m[0]} with the other sign"
    c["value"] = -old
    for beat in c["beats"]:
        beat["value"] = -old
    _display(alert, c, old)
    return f"[{c['n']}] {c['measure']} {old:+.3f} as {-old:+.3f}"


def _negation(rng: Random, alert: Alert) -> str | None:
    """A statement denied, or a denied one asserted."""
    text = alert["interpretation"]["text"]
    found = [(m, new) for old, new in _TABLES["denials"].items() for m in re.finditer(re.escape(old), text)]
    found = [
        (m, new) for m, new in found if not re.search(r"\b[Nn]o\b[^.,]*$", text[: m.start()]) and _decides(alert, m)
    ]
    if not found:
        return None
    m, new = rng.choice(found)
    replace_text(alert, m.start(), m.end(), new)
    return f"{m[0]} as {new}"


def _decides(alert: Alert, m: re.Match[str]) -> bool:
    """Whether the value cited is clear of the limits, so that the denial is false."""
    bands = {
        "REGULARITY": [(0.06, 0.13)],
        "HR": [(56, 64), (96, 104)],
        "QRS": [(115, 125)],
        "PR": [(115, 125), (195, 205)],
    }
    bands |= {"ST": [(0.07, 0.13), (-0.13, -0.07)], "AMPLITUDE": [(-0.05, 0.15)], "ABSENT_P": [(0.2, 0.8)]}
    c = _cited_after(alert, m.start())
    return c is not None and not any(low <= c["value"] <= high for low, high in bands.get(c["measure"], []))


def _finding(rng: Random, alert: Alert) -> str | None:
    """A finding that the cited value excludes, or that it says nothing about."""
    text, options = alert["interpretation"]["text"], []
    for old, new, measure, low, high in _TABLES["opposites"]["rows"]:
        for m in re.finditer(rf"(?<![\w-]){re.escape(old)}(?!\w)", text):
            after, before = _cited_after(alert, m.start()), re.findall(r"\[(\d+)\] \($", text[: m.start() + 1])
            c = next((x for x in alert["citations"] if before and x["n"] == int(before[0])), after)
            denied = re.search(r"\b[Nn]o(?:t)?\b[^.,]*$", text[: m.start()])
            if c is not None and not denied and c["measure"] == measure and low <= c["value"] <= high:
                options.append((m, new))
    if not options:
        return None
    m, new = rng.choice(options)
    replace_text(alert, m.start(), m.end(), new)
    return f"{m[0]} as {new}"


def _rule(rng: Random, alert: Alert) -> str | None:
    """A rule of another alarm, a limit that is not the rule's, or one that the value does not meet."""
    c = next((c for c in alert["citations"] if c["criterion"]), None)
    if c is None:
        return None
    k, old = c["criterion"], c["criterion"]["rule"]
    rules: dict[str, float] = _TABLES["rules"]
    if rng.random() < 0.5:
        family = re.compile(r"fibrill|ventricular|beats in a row|mean of|RR over|no beat|P waves|QTcF|irregular")
        new = rng.choice([r for r in rules if family.findall(r)[:1] != family.findall(old)[:1]])
        if "ventricular" not in new and _each_beat_may_meet(new, rules[new], alert, c):
            return None
        k["rule"], k["limit"] = new, rules[new]
        start = alert["interpretation"]["text"].find(old)
        if start >= 0:
            replace_text(alert, start, start + len(old), new)
        return f"rule {old} as {new}"
    k["limit"] = round(k["limit"] * rng.choice([0.3, 0.5, 1.7, 3.0]) + 0.137, 3)
    return None if "times the mean" in old else f"limit of {old} as {k['limit']}"


def _each_beat_may_meet(rule: str, bpm: float, alert: Alert, citation: dict[str, Any]) -> bool:
    """True unless the document shows that not each beat is as fast, or slow, as a rule on beats in a row asks.

    The cited beats show it one by one. Without them the variability does: some interval lies as far from the mean as
    the standard deviation. Where both leave it open, the rule is no lie by construction.
    """
    if "beats in a row" not in rule or "than" not in rule or citation["unit"] not in ("bpm", "s"):
        return False
    fs_hz, fast = alert["segment"]["sampling_rate"], "faster" in rule
    rates = [60.0 * fs_hz / (beat["end_sample"] - beat["start_sample"]) for beat in citation["beats"]]  # from R to R
    mean = citation["value"] if citation["unit"] == "bpm" else 60.0 / citation["value"]
    spread = [c["value"] for c in alert["citations"] if c["measure"] == "REGULARITY"] if len(rates) < 2 else []
    rates += [mean / (1 + x if fast else max(0.01, 1 - x)) for x in spread[:1]] or [mean]
    return min(rates) > bpm - ACCURACY_BPM if fast else max(rates) < bpm + ACCURACY_BPM


def _order(rng: Random, alert: Alert) -> str | None:
    """The alarm's own sentence is deleted, moved to the end, or after the second."""
    text, own = alert["interpretation"]["text"], {c["n"] for c in alert["citations"] if c["criterion"]}
    parts = SENTENCE.split(text)
    if not own or len(parts) < 2 or alert["kind"] != "physiological":
        return None
    opening = [k for k, s in enumerate(parts) if own & {int(n) for n in re.findall(r"\[(\d+)\]", s)}]
    rest = [s for k, s in enumerate(parts) if k not in opening]
    if not rest:
        return None
    alarm = [parts[k] for k in opening]
    new = rng.choice([rest, rest + alarm, [rest[0], *alarm, *rest[1:]]])
    words = alert["interpretation"]
    words["text"], words["claims"] = " ".join(new), []
    words["counts"] = {"supported": 0, "contradicted": 0, "unsupported": 0}
    return "the alarm's sentence is not the first"


def _citation(rng: Random, alert: Alert) -> str | None:
    """Two citations of different measures change places in the text, or one points nowhere."""
    text = alert["interpretation"]["text"]
    groups = list(re.finditer(r"\[(\d+)\]", text))
    if not groups:
        return None
    m = rng.choice(groups)
    if rng.random() < 0.4:
        replace_text(alert, m.start(1), m.end(1), str(len(alert["citations"]) + rng.randint(1, 9)))
        return f"{m[0]} to nowhere"
    numbers = [x for x in NUMBER.finditer(text) if re.match(r" \[\d+\]", text[x.end() :])]
    if not numbers:
        return None
    x = rng.choice(numbers)
    cited = _cited_after(alert, x.end())
    others = [c for c in alert["citations"] if cited and c["unit"] != cited["unit"]]
    if not others:
        return None
    m2 = re.compile(r" \[(\d+)\]").match(text, x.end())
    assert m2 is not None
    new = rng.choice(others)
    replace_text(alert, m2.start(1), m2.end(1), str(new["n"]))
    return f"{x[0]} cites [{new['n']}] {new['measure']}"


def _alarm(rng: Random, alert: Alert) -> str | None:
    """The code, title or priority of another alarm; half of the time with the right id for it."""
    others: dict[str, tuple[str, str]] = {code: tuple(row) for code, row in _TABLES["alarms"].items()}
    code = rng.choice([c for c in others if c != alert["code"]])
    if rng.random() < 0.5 and alert["kind"] == "physiological":
        alert["title"] = others[code][0]
        return f"title {alert['title']}"
    alert["code"], (alert["title"], alert["priority"]), alert["kind"] = code, others[code], "physiological"
    if rng.random() < 0.7:
        onset = datetime.fromisoformat(alert["onset"])
        ns = round((onset - datetime.fromisoformat("1970-01-01T00:00:00+00:00")).total_seconds() * 1e6) * 1000
        alert["id"] = hashlib.sha256(f"{alert['bed_stream']}|{code}|{ns}".encode()).hexdigest()[:32]
    return f"alarm {code}"


KINDS: dict[str, Callable[[Random, Alert], str | None]] = {
    "number": _number, "unit": _unit, "value": _value, "span": _span, "lead": _lead, "sign": _sign,
    "negation": _negation, "finding": _finding, "rule": _rule, "order": _order, "citation": _citation, "alarm": _alarm,
}  # fmt: skip


def corrupt(rng: Random, alert: Alert, kind: str) -> tuple[Alert, str] | None:
    """A false copy of an alert, and its fault; None where this draw gives none."""
    copied = copy.deepcopy(alert)
    fault = KINDS[kind](rng, copied)
    return None if fault is None or copied == alert else (copied, fault)
