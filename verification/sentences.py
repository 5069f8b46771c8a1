"""Check of the sentences of an alert against its citations, its alarm, its signal and each other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from verification.citations import st_levels
from verification.signal import Signal
from verification.tables import CODES, FINDINGS, GROUP, MEASURES, NEGATION, NUMBER, PAIRS, SPLIT, WORDS, holds

CHAINED = {"regular", "irregular", "P waves", "no P waves", "wide", "fast", "slow"}  # cite what follows their phrase
UNCONFIRMED = "(not confirmed)"


class Statement(NamedTuple):
    """A finding in a sentence, its citations, and the words up to them."""

    name: str
    asserted: bool
    cited: tuple[int, ...]
    words: str


def numbers_in(text: str) -> tuple[int, ...]:
    """Citation numbers in a text."""
    return tuple(int(n) for n in re.findall(r"\[(\d+)\]", text))


def leads_in(words: str) -> set[str]:
    """The standard leads named, ranges expanded."""
    spread = re.sub(r"V(\d)[–-]V(\d)", lambda m: " ".join(f"V{k}" for k in range(int(m[1]), int(m[2]) + 1)), words)
    return set(re.findall(r"(?<![\w-])(?:aV[RLF]|V[1-6]|I{1,3})(?![\w-])", spread))


def statements(sentence: str) -> list[Statement]:
    """The findings of a sentence in order; of overlapping ones the first and longest."""
    found, out, last = [], [], 0
    matches = [(m.start(), -m.end(), name) for name, w in WORDS.items() for m in w.finditer(sentence)]
    for start, back, name in sorted(matches):
        if start >= last:
            found.append((start, last := -back, name))
    for k, (start, end, name) in enumerate(found):
        later = (x for x, _, _ in found[k + 1 :] if name not in CHAINED or GROUP.search(sentence[end:x]))
        stop = next(later, len(sentence))
        group, note = GROUP.search(sentence, end, stop), re.search(r"((?:\[\d+\]\s*)+)\($", sentence[:start])
        cited = next((c[0] for c in (re.search(r"\[\d+\]", sentence[start:end]), note, group) if c), "")
        denied = " not " in sentence[start:end] or NEGATION.search(GROUP.sub("", sentence[:start]))
        words = sentence[start : group.end() if group else stop]
        out.append(Statement(name, not denied or name == "no P waves", numbers_in(cited), words))
    return out


class Text:
    """The sentences of one alert; ``own`` are the numbers of the alarm's citations."""

    def __init__(self, alert: dict[str, Any], signal: Signal | None) -> None:
        self.alert, self.signal, self.code = alert, signal, CODES.get(alert["code"], {"own": ".", "opposed": ""})
        self.cites: dict[int, dict[str, Any]] = {c["n"]: c for c in alert["citations"]}
        self.own = {n for n, c in self.cites.items() if c["criterion"]}
        raw = re.sub(r"~~.*?~~", "", (alert["interpretation"] or {"text": ""})["text"])
        self.first = SPLIT.split(raw)[0]
        for n in self.own:
            raw = raw.replace(f"({self.cites[n]['criterion']['rule']})", "")
        self.sentences = [s for s in SPLIT.split(raw) if s.strip()]
        self.leads = set(signal.mv if signal else sum((c["leads"] for c in alert["citations"]), alert["leads"]))

    def check(self) -> list[dict[str, str]]:
        """Verdict of each sentence: right, wrong (and why) or unchecked."""
        out, parts = [], [statements(s) for s in self.sentences]
        names = [{p.name for p in part if p.asserted and UNCONFIRMED not in p.words} for part in parts]
        for k, (sentence, part) in enumerate(zip(self.sentences, parts, strict=True)):
            faults = [*self._numbers(sentence), *self._findings(part)]
            faults += [f"there is no citation [{n}]" for n in set(numbers_in(sentence)) - set(self.cites)]
            faults += [f"there is no lead {x}" for x in leads_in(sentence) - self.leads]
            faults += [f"{a} and {b}" for a, b in PAIRS if {a, b} <= set().union(*names) and {a, b} & names[k]]
            faults += ["repeats a sentence"] if sentence in self.sentences[:k] else []
            named = self.own & set(numbers_in(sentence)) and re.search(self.code["own"], self.first, re.IGNORECASE)
            faults += ["not the alarm's finding and citation"] if k == 0 and self.own and not named else []
            verdict = "wrong" if faults else "right" if part or numbers_in(sentence) else "unchecked"
            out.append({"text": sentence, "verdict": verdict, "why": "; ".join(faults)})
        return out

    def _findings(self, part: list[Statement]) -> Iterator[str]:
        for k, p in enumerate(part):
            cited = [self.cites[n] for n in p.cited if n in self.cites]
            if p.asserted and p.name in self.code["opposed"].split(","):
                yield f"{p.name} opposes {self.alert['title']}"
            if p.asserted and any(x.name == p.name and x.asserted for x in part[:k]):
                yield f"{p.name} twice"
            if p.asserted and not cited and UNCONFIRMED not in p.words:
                yield f"{p.name} is neither cited nor marked {UNCONFIRMED}"
            if cited and not {c["measure"] for c in cited} & set(FINDINGS[p.name]["cites"].split()):
                yield f"{p.name} cites {', '.join(c['measure'] for c in cited)}"
            stray = leads_in(p.words) - {x for c in cited for x in c["leads"]}
            if cited and stray and p.name != "ST within" and len(p.cited) < 4:
                yield f"{p.name} in {', '.join(sorted(stray))} is not cited"
            results = {holds(p.name, self._values(p, cited, axis)) for axis in self._axes or (None,)} - {None}
            # An unconfirmed diagnosis of more than the values is undecided.
            if ("any" not in FINDINGS[p.name] or UNCONFIRMED not in p.words) and results == {not p.asserted}:
                yield f"{'' if p.asserted else 'no '}{p.name}: the values say otherwise"

    def _numbers(self, sentence: str) -> Iterator[str]:
        plain = re.sub(r"within 0\.1 mV|0\.1 mV or more", lambda m: " " * len(m[0]), sentence)
        found = list(NUMBER.finditer(plain))
        for m, stop in zip(found, [*(x.start() for x in found[1:]), len(plain)], strict=False):
            value, unit, tail = float(m[1].replace("−", "-")), m[2] or "", plain[m.end() :]
            beats = re.match(r"\s*(?:of|ventricular ectopic beats? among) (\d+) beats((?:\s*\[\d+\])*)", tail)
            after = GROUP.search(plain, m.end(), stop)
            groups = [after[0]] if after else [beats[2]] if beats else GROUP.findall(plain[: m.start()])[-1:]
            cited = [self.cites[n] for n in numbers_in("".join(groups))[:1] if n in self.cites]
            if beats:
                yield from self._counted(value, int(beats[1]), cited, " of " in beats[0])
            if unit == "°" and self._axes and min(abs((value - x + 180) % 360 - 180) for x in self._axes) > 20:
                yield f"the axis is {self._axes[0]:.0f}°"
            if beats or unit == "°" or not (unit or "." in m[1] or (after and after.start() == m.end())):
                continue
            named = [(x.end(), k) for k, row in MEASURES.items() for x in re.finditer(row["words"], plain[: m.start()])]
            names = {k for at, k in named if at == max(named)[0]} - {"AMPLITUDE"}
            half, fits = 0.5 * 10 ** -len(m[1].partition(".")[2]) + 1e-6, [c for c in cited if c["unit"] == unit]
            fits = [c for c in fits if abs(c["value"] - value) <= half and (not names or c["measure"] in names)]
            lead = re.match(r"(?:\s*\[\d+\])*\s+in (?:leads? )?(\w+)", tail)
            if not fits or (lead and lead[1] in self.leads and not any(lead[1] in c["leads"] for c in fits)):
                yield f"{m[0]} is not the value of{''.join(groups) or ' a citation'}"

    def _counted(self, part: float, total: int, cited: list[dict[str, Any]], with_p: bool) -> Iterator[str]:
        absent = [c["value"] for c in cited if c["measure"] == "ABSENT_P" and with_p]
        if part > total or (absent and abs(1 - part / total - absent[0]) > 0.15):
            yield f"{part:.0f} of {total} beats"
        a, b = (cited[0]["start_sample"], cited[0]["end_sample"]) if cited else (0, np.inf)  # the beats of a span
        views, near = (s.views, 0.1 * s.fs) if (s := self.signal) else ([], 0.0)
        found = [int(np.sum((w > a - near) & (w < b + near))) for w in views]
        if found and not any(abs(n - total) <= max(1, 0.15 * total) for n in found):
            yield f"there are {found[0]} beats, not {total}"

    def _values(self, p: Statement, cited: list[dict[str, Any]], axis: float | None) -> dict[str, float | None]:
        """Values that decide a finding: those of its citations, else the alert's; axis and V1 measured here."""
        every = [*cited, *(c for c in self.cites.values() if c not in cited)]
        names = {"hr": "HR", "qrs": "QRS", "pr": "PR", "qtc": "QTcF QTc", "reg": "REGULARITY", "absent": "ABSENT_P"}
        found = {k: [c["value"] for m in v.split() for c in every if c["measure"] == m] for k, v in names.items()}
        out: dict[str, float | None] = {k: next(iter(v), None) for k, v in found.items()}
        if out["absent"] is None and any(c["measure"] in ("P", "PR") and not c["criterion"] for c in every):
            out["absent"] = 0.0
        all_st = [c["value"] for c in every if c["measure"] == "ST" and c["leads"] != ["aVR"]] + self._st
        st = [c["value"] for c in cited if c["measure"] == "ST"] if p.asserted and p.name != "ST within" else all_st
        out |= {"axis": axis, "v1": self._v1, "st_max": max(st, default=None), "st_min": min(st, default=None)}
        out |= {"st_abs": max(map(abs, st), default=None), "st_all": max(map(abs, all_st), default=None)}
        t_waves = [c["value"] for c in cited if c["measure"] == "AMPLITUDE" and c["wave"] == "T"]
        rr = max([c["value"] for c in cited if c["unit"] == "s"], default=60 / (out["hr"] or np.inf)) or None
        out |= {"rr": rr, "hr": out["hr"] or (60 / rr if rr else None), "t_min": min(t_waves, default=None)}
        return out

    @cached_property
    def _st(self) -> list[float]:
        """Own median ST levels of leads in which QRS is cited, where they are clearly beyond the limit."""
        s = self.signal
        clear = {x for c in self.cites.values() if c["measure"] == "QRS" for x in c["leads"] if x != "aVR"}
        at = [(a, b + round(s.fs * 0.06)) for a, b in self._complexes if s and b < s.n - 0.1 * s.fs] if s else []
        own = [np.median([st_levels(s.mv[x], *k, s.fs) for k in at]) for x in clear if s and at and x in s.mv]
        return [float(v) for v in own if abs(v) > 0.2]

    def _areas(self, lead: str, spans: list[tuple[int, int]]) -> list[Any]:
        row = self.signal.mv.get(lead) if self.signal else None
        return [] if row is None else [row[a : b + 1] - np.median(row[max(0, a - 5) : a + 1]) for a, b in spans]

    @cached_property
    def _complexes(self) -> list[tuple[int, int]]:
        return [x for b in s.views[0] if (x := s.qrs(s.used, int(b)))] if (s := self.signal) else []

    @cached_property
    def _axes(self) -> list[float]:
        """Own QRS axes, degrees: over all QRS complexes by own boundaries, and over those cited."""
        cited = [(c["start_sample"], c["end_sample"]) for c in self.cites.values() if c["measure"] == "QRS"]
        both = [[[x.sum() for x in self._areas(lead, at)] for lead in ("I", "aVF")] for at in (self._complexes, cited)]
        return [float(np.degrees(np.arctan2(1.155 * np.median(f), np.median(i)))) for i, f in both if i and f]

    @cached_property
    def _v1(self) -> float | None:
        late = [x[len(x) // 2 :].sum() / max(np.abs(x).sum(), 1e-9) for x in self._areas("V1", self._complexes)]
        return float(np.median(late)) if late else None
