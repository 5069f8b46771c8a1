"""Alarm limits of a bed: what each code waits for, inside which bounds it may be set, and where the default comes from.

In: changes as people make them at the bed, ``{CODE: {"seconds", "beats", "rate", "mv", "ms", "on"}}``, None resets.
Out: `Limits`, immutable, one `Limit` a code. Units: s, beats, per minute, mV, ms.
Limits of one patient may not cross (a bradycardia limit below the extreme one would never sound first), and the five
lethal alarms cannot be switched off (IEC 60601-2-27; Mindray, EDAN and Philips manuals).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from models.arrhythmia.codes import CODES, LETHAL
from models.normal_limits import PR_LONG_MS, QRS_WIDE_MS

Bounds = tuple[float, float]

CONFIRM_BOUNDS_S: Bounds = (5.0, 300.0)  # how long AF, irregular rhythm and QT may be made to wait


@dataclass(frozen=True, slots=True)
class RhythmSettings:
    """Times to confirm that a site sets for all its beds (a bed's own ``seconds`` limit goes first).

    Attributes
    ----------
    af_confirm_s : float
        Atrial fibrillation and irregular rhythm must last this long. Monitors wait a minute (EDAN, Mindray manuals).
    qt_confirm_s : float
        QTcF over the limit must last this long.
    """

    af_confirm_s: float = 60.0
    qt_confirm_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ("af_confirm_s", "qt_confirm_s"):
            value, (low, high) = getattr(self, name), CONFIRM_BOUNDS_S
            if not low <= value <= high:
                raise ValueError(f"{name} {value:g} is not in {low:g}…{high:g} s")


@dataclass(frozen=True, slots=True)
class Limit:
    """The limit of one code; None where the code has no such part, or where the site's setting holds.

    Attributes
    ----------
    seconds, beats, rate, mv, ms
        How long, how many beats in a row, beats (or events) a minute, millivolts, milliseconds.
    on : bool
        The alarm may be raised at all.
    """

    seconds: float | None = None
    beats: int | None = None
    rate: float | None = None
    mv: float | None = None
    ms: float | None = None
    on: bool = True


@dataclass(frozen=True, slots=True)
class LimitRule:
    """Default, bounds of what can be set, and source of one code's limit."""

    default: Limit
    bounds: Mapping[str, Bounds] = field(default_factory=dict)
    source: str = ""


RULES: dict[str, LimitRule] = {
    "VFIB": LimitRule(Limit(seconds=4.0), {"seconds": (3, 6)}, "Philips DFM100: fibrillatory wave for 4 s; CinC 2015"),
    "ASYSTOLE": LimitRule(Limit(seconds=4.0), {"seconds": (3, 6)}, "Philips DFM100; CinC 2015"),
    "VTACH": LimitRule(Limit(beats=5, rate=100.0), {"beats": (3, 10), "rate": (90, 150)}, "EDAN; CinC 2015"),
    "EXTREME_BRADY": LimitRule(Limit(beats=5, seconds=8.0, rate=40.0), {"rate": (20, 50)}, "CinC 2015"),
    "EXTREME_TACHY": LimitRule(Limit(beats=17, rate=140.0), {"rate": (120, 220)}, "CinC 2015"),
    "VRUN": LimitRule(Limit(beats=3), {}, "GE EK-Pro; Mindray V12"),
    "VRHYTHM": LimitRule(Limit(), {}, "Philips IntelliVue: ventricular rhythm"),
    "VPAIR": LimitRule(Limit(beats=2), {}, "Philips IntelliVue: pair of ventricular beats"),
    "R_ON_T": LimitRule(Limit(ms=100.0), {}, "GE EK-Pro: within 100 ms of the T peak"),
    "VBIGEMINY": LimitRule(Limit(beats=3), {}, "Philips IntelliVue: three cycles"),
    "VTRIGEMINY": LimitRule(Limit(beats=3), {}, "Philips IntelliVue: three cycles"),
    "PVC_RATE": LimitRule(Limit(rate=10.0), {"rate": (1, 60)}, "Philips IntelliVue: 10 PVCs a minute"),
    "BRADY": LimitRule(Limit(beats=8, seconds=10.0, rate=50.0), {"rate": (30, 60)}, "Philips IntelliVue: low rate"),
    "TACHY": LimitRule(Limit(beats=8, seconds=10.0, rate=120.0), {"rate": (100, 200)}, "Philips IntelliVue: high rate"),
    "SVT": LimitRule(Limit(beats=5, rate=180.0), {"rate": (130, 220)}, "Philips IntelliVue: SVT, 5 beats at 180"),
    "PAUSE": LimitRule(Limit(seconds=2.5), {"seconds": (1.5, 3.5)}, "Philips IntelliVue; GE EK-Pro: 1 to 5 s"),
    "MISSED_BEAT": LimitRule(Limit(beats=8), {}, "Philips IntelliVue: no beat for 1.8 times the mean RR"),
    "IRREGULAR": LimitRule(Limit(), {"seconds": CONFIRM_BOUNDS_S}, "EDAN, Mindray: one minute"),
    "AFIB": LimitRule(Limit(), {"seconds": CONFIRM_BOUNDS_S}, "EDAN, Mindray: without P waves for one minute"),
    "AFIB_END": LimitRule(Limit(seconds=60.0), {"seconds": CONFIRM_BOUNDS_S}, "Mindray: gone for one minute"),
    "ST_ELEVATION": LimitRule(Limit(mv=0.1, seconds=60.0), {"mv": (0.05, 0.5)}, "AHA practice standards 2017"),
    "ST_DEPRESSION": LimitRule(Limit(mv=0.1, seconds=60.0), {"mv": (0.05, 0.5)}, "AHA practice standards 2017"),
    "QT_LONG": LimitRule(Limit(ms=500.0), {"ms": (450, 600), "seconds": CONFIRM_BOUNDS_S}, "AHA/ACC 2010: over 500 ms"),
    "WIDE_QRS": LimitRule(Limit(ms=QRS_WIDE_MS, seconds=60.0), {}, "AHA/ACC/HRS 2009: QRS over 120 ms"),
    "PR_LONG": LimitRule(
        Limit(ms=PR_LONG_MS + 20.0, seconds=60.0), {}, "AHA/ACC/HRS: first-degree block, 20 ms of margin"
    ),
    "AV_BLOCK": LimitRule(Limit(beats=2, seconds=30.0), {}, "AHA practice standards 2017"),
    "PACER_NOT_CAPTURING": LimitRule(Limit(beats=2, ms=300.0), {}, "Philips IntelliVue: pacer not capture"),
    "PACER_NOT_PACING": LimitRule(Limit(seconds=2.0), {}, "Philips IntelliVue: pacer not pacing"),
    "LEADS_OFF": LimitRule(Limit(), {}, "IEC 60601-2-27"),
    "NOISY_SIGNAL": LimitRule(Limit(seconds=10.0), {}, "IEC 60601-2-27"),
    "SILENT_FEED": LimitRule(Limit(seconds=8.0), {"seconds": (5, 30)}, "IEC 60601-1-8: loss of communication"),
    "CLOCK_JUMP": LimitRule(Limit(seconds=5.0), {}, ""),
    "DUPLICATE_SOURCE": LimitRule(Limit(seconds=5.0), {}, ""),
    "PATIENT_MISMATCH": LimitRule(Limit(), {}, ""),
}
"""What CONTRACTS call the condition by default and its bounds, a row a code."""

_CROSSING = (("EXTREME_BRADY", "BRADY"), ("TACHY", "EXTREME_TACHY"))  # the first's rate stays below the second's
_PARTS = tuple(f.name for f in fields(Limit))


@dataclass(frozen=True)
class Limits:
    """The limits of one bed.

    >>> Limits()["ASYSTOLE"].seconds
    4.0
    >>> Limits().with_changes({"BRADY": {"rate": 45}})["BRADY"].rate
    45.0
    """

    table: Mapping[str, Limit] = field(default_factory=lambda: {code: rule.default for code, rule in RULES.items()})

    def __getitem__(self, code: str) -> Limit:
        return self.table[code]

    def is_on(self, code: str) -> bool:
        """The alarm may be raised."""
        return self.table[code].on

    def with_changes(self, changes: Mapping[str, Mapping[str, Any] | None]) -> Limits:
        """These limits with some of them changed.

        Parameters
        ----------
        changes : mapping
            Code to the parts that change; None for a code, or for a part of it, resets to the default.

        Raises
        ------
        ValueError
            An unknown code or part, a value out of bounds, a lethal alarm switched off, limits that cross. Nothing is
            changed then.
        """
        table = dict(self.table)
        for code, parts in changes.items():
            if code not in RULES:
                raise ValueError(f"{code!r} is no alarm with limits; there are {', '.join(RULES)}")
            if parts is None:
                table[code] = RULES[code].default
                continue
            if not isinstance(parts, Mapping):
                raise ValueError(f'limits of {code} are {parts!r}: expected parts such as {{"on": false}}, or null')
            checked: dict[str, Any] = {part: _checked(code, part, value) for part, value in parts.items()}
            table[code] = replace(table[code], **checked)
        for low, high in _CROSSING:
            a, b = table[low].rate, table[high].rate
            if a is not None and b is not None and a >= b:
                raise ValueError(f"limits cross: {low} {a:g} bpm must stay below {high} {b:g} bpm")
        return Limits(table)

    def changes(self) -> dict[str, dict[str, Any]]:
        """What differs from the defaults: `with_changes` of it on `Limits()` gives these limits again."""
        out: dict[str, dict[str, Any]] = {}
        for code, limit in self.table.items():
            default = RULES[code].default
            parts = {p: getattr(limit, p) for p in _PARTS if getattr(limit, p) != getattr(default, p)}
            if parts:
                out[code] = parts
        return out


def _checked(code: str, part: str, value: Any) -> float | int | bool | None:
    """The value of one part as it is kept; ValueError says what is wrong with it and what would be right."""
    rule = RULES[code]
    if part == "on":
        if value is None:
            return True
        if not isinstance(value, bool):
            raise ValueError(f"{code} on is {value!r}: expected true or false")
        if not value and code in LETHAL:
            raise ValueError(f"{code} ({CODES[code].title}) is lethal and cannot be switched off")
        return value
    if part not in rule.bounds:
        settable = ", ".join([*rule.bounds, "on"])
        raise ValueError(f"{code} has no limit {part!r} that can be set; there is {settable}")
    if value is None:
        default: float | int | None = getattr(rule.default, part)
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{code} {part} is {value!r}: expected a number")
    low, high = rule.bounds[part]
    if not low <= value <= high:  # NaN fails too
        raise ValueError(f"{code} {part} {value:g} is not in {low:g}…{high:g}")
    if part == "beats":
        if value != int(value):
            raise ValueError(f"{code} beats {value:g} is not a whole number")
        return int(value)
    return float(value)
