"""Alarm limits of a bed: the default of each code with its source, and the bounds within which it can be set.

In: changes as people make them at the bed, ``{CODE: {"seconds", "beats", "rate", "mv", "ms", "on"}}``; None resets.
Out: `Limits`, immutable, with one limit a code. Each shape of limit is a class of its own, and its fields have the
names of the parts that can be set. Units: seconds, beats, per minute, mV, ms.
The limits of one patient must not cross: a bradycardia limit below the extreme one would never sound first. The five
lethal alarms cannot be switched off (IEC 60601-2-27; Mindray, EDAN and Philips manuals). Table:
``docs/alarms.md#codes``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, overload

from models.arrhythmia.codes import CODES, LETHAL
from models.evidence import Criterion
from models.normal_limits import PR_LONG_MS, QRS_WIDE_MS

Bounds = tuple[float, float]

CONFIRM_BOUNDS_S: Bounds = (5.0, 300.0)  # confirmation times of AF, irregular rhythm and QT that can be set


@dataclass(frozen=True, slots=True)
class RhythmSettings:
    """Confirmation times that a site sets for all its beds; a bed's own ``seconds`` limit goes first.

    Attributes
    ----------
    af_confirm_s : float
        Atrial fibrillation and irregular rhythm must last this long, s. Monitors take a minute (EDAN, Mindray manuals).
    qt_confirm_s : float
        QTcF over the limit must last this long, s.
    """

    af_confirm_s: float = 60.0
    qt_confirm_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ("af_confirm_s", "qt_confirm_s"):
            value, (low, high) = getattr(self, name), CONFIRM_BOUNDS_S
            if not low <= value <= high:
                raise ValueError(f"{name} {value:g} is not in {low:g}…{high:g} s")


def _parts(limit: Limit) -> tuple[str, ...]:
    """Names of the parts of a limit."""
    return tuple(f.name for f in fields(limit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Limit of one code; by itself that of a code without a number.

    Attributes
    ----------
    on : bool
        The alarm may be raised.

    Raises
    ------
    ValueError
        A number is not finite or not above zero.
    """

    on: bool = True

    def __post_init__(self) -> None:
        for name in _parts(self):
            value = getattr(self, name)
            if name != "on" and value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{type(self).__name__} {name} {value!r} is not a number above zero")


@dataclass(frozen=True, slots=True)
class DurationLimit(Limit):
    """The condition lasts for ``seconds``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class ConfirmationLimit(Limit):
    """The condition is confirmed over ``seconds``; None: over the time that the site sets (`RhythmSettings`)."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RunLimit(Limit):
    """``beats`` beats in a row faster than ``rate`` per minute."""

    beats: int
    rate: float


@dataclass(frozen=True, slots=True)
class RateLimit(Limit):
    """A rate over ``beats`` beats, or over ``seconds``, beyond ``rate`` per minute."""

    beats: int
    seconds: float
    rate: float


@dataclass(frozen=True, slots=True)
class BeatCountLimit(Limit):
    """``beats`` beats or cycles in a row."""

    beats: int


@dataclass(frozen=True, slots=True)
class EventRateLimit(Limit):
    """More than ``rate`` events a minute."""

    rate: float


@dataclass(frozen=True, slots=True)
class EventCountLimit(Limit):
    """``beats`` events within ``seconds``."""

    beats: int
    seconds: float


@dataclass(frozen=True, slots=True)
class DistanceLimit(Limit):
    """Two events within ``ms`` of each other."""

    ms: float


@dataclass(frozen=True, slots=True)
class CaptureLimit(Limit):
    """``beats`` pacing pulses without a beat within ``ms``."""

    beats: int
    ms: float


@dataclass(frozen=True, slots=True)
class IntervalLimit(Limit):
    """An interval over ``ms`` for ``seconds``."""

    ms: float
    seconds: float


@dataclass(frozen=True, slots=True)
class QtLimit(Limit):
    """QTcF over ``ms`` for ``seconds``; None: for the time that the site sets (`RhythmSettings`)."""

    ms: float
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class StLimit(Limit):
    """ST level ``mv`` off the bed's baseline for ``seconds``."""

    mv: float
    seconds: float


DurationCode = Literal[
    "VFIB",
    "ASYSTOLE",
    "PAUSE",
    "PACER_NOT_PACING",
    "CANNOT_ANALYZE",
    "NOISY_SIGNAL",
    "SILENT_FEED",
    "CLOCK_JUMP",
    "DUPLICATE_SOURCE",
]
ConfirmedCode = Literal["IRREGULAR", "AFIB", "AFIB_END"]
RunCode = Literal["VTACH", "EXTREME_TACHY", "SVT"]
RateCode = Literal["EXTREME_BRADY", "BRADY", "TACHY"]
BeatCountCode = Literal["VRUN", "VPAIR", "VBIGEMINY", "VTRIGEMINY", "MISSED_BEAT"]
IntervalCode = Literal["WIDE_QRS", "PR_LONG"]
StCode = Literal["ST_ELEVATION", "ST_DEPRESSION"]


@dataclass(frozen=True, slots=True)
class LimitRule:
    """Default limit of one code, the bounds of its parts that can be set, and its source."""

    default: Limit
    bounds: Mapping[str, Bounds] = field(default_factory=dict)
    source: str = ""


RULES: dict[str, LimitRule] = {
    "VFIB": LimitRule(DurationLimit(4.0), {"seconds": (3, 6)}, "Philips DFM100: fibrillatory wave for 4 s; CinC 2015"),
    "ASYSTOLE": LimitRule(DurationLimit(4.0), {"seconds": (3, 6)}, "Philips DFM100; CinC 2015"),
    "VTACH": LimitRule(RunLimit(5, rate=100.0), {"beats": (3, 10), "rate": (90, 150)}, "EDAN; CinC 2015"),
    "EXTREME_BRADY": LimitRule(RateLimit(5, seconds=8.0, rate=40.0), {"rate": (20, 50)}, "CinC 2015"),
    "EXTREME_TACHY": LimitRule(RunLimit(17, rate=140.0), {"rate": (120, 220)}, "CinC 2015"),
    "VRUN": LimitRule(BeatCountLimit(3), {}, "GE EK-Pro; Mindray V12"),
    "VRHYTHM": LimitRule(Limit(), {}, "Philips IntelliVue: ventricular rhythm"),
    "VPAIR": LimitRule(BeatCountLimit(2), {}, "Philips IntelliVue: pair of ventricular beats"),
    "R_ON_T": LimitRule(DistanceLimit(100.0), {}, "GE EK-Pro: within 100 ms of the T peak"),
    "VBIGEMINY": LimitRule(BeatCountLimit(3), {}, "Philips IntelliVue: three cycles"),
    "VTRIGEMINY": LimitRule(BeatCountLimit(3), {}, "Philips IntelliVue: three cycles"),
    "PVC_RATE": LimitRule(EventRateLimit(10.0), {"rate": (1, 60)}, "Philips IntelliVue: 10 PVCs a minute"),
    "BRADY": LimitRule(RateLimit(8, seconds=10.0, rate=50.0), {"rate": (30, 60)}, "Philips IntelliVue: low rate"),
    "TACHY": LimitRule(RateLimit(8, seconds=10.0, rate=120.0), {"rate": (100, 200)}, "Philips IntelliVue: high rate"),
    "SVT": LimitRule(RunLimit(5, rate=180.0), {"rate": (130, 220)}, "Philips IntelliVue: SVT, 5 beats at 180"),
    "PAUSE": LimitRule(DurationLimit(2.5), {"seconds": (1.5, 3.5)}, "Philips IntelliVue; GE EK-Pro: 1 to 5 s"),
    "MISSED_BEAT": LimitRule(BeatCountLimit(8), {}, "Philips IntelliVue: no beat for 1.8 times the mean RR"),
    "IRREGULAR": LimitRule(ConfirmationLimit(), {"seconds": CONFIRM_BOUNDS_S}, "EDAN, Mindray: one minute"),
    "AFIB": LimitRule(
        ConfirmationLimit(), {"seconds": CONFIRM_BOUNDS_S}, "EDAN, Mindray: without P waves for one minute"
    ),
    "AFIB_END": LimitRule(ConfirmationLimit(60.0), {"seconds": CONFIRM_BOUNDS_S}, "Mindray: gone for one minute"),
    "ST_ELEVATION": LimitRule(StLimit(0.1, seconds=60.0), {"mv": (0.05, 0.5)}, "AHA practice standards 2017"),
    "ST_DEPRESSION": LimitRule(StLimit(0.1, seconds=60.0), {"mv": (0.05, 0.5)}, "AHA practice standards 2017"),
    "QT_LONG": LimitRule(QtLimit(500.0), {"ms": (450, 600), "seconds": CONFIRM_BOUNDS_S}, "AHA/ACC 2010: over 500 ms"),
    "WIDE_QRS": LimitRule(IntervalLimit(QRS_WIDE_MS, seconds=60.0), {}, "AHA/ACC/HRS 2009: QRS over 120 ms"),
    "PR_LONG": LimitRule(
        IntervalLimit(PR_LONG_MS + 20.0, seconds=60.0), {}, "AHA/ACC/HRS: first-degree block, 20 ms of margin"
    ),
    "AV_BLOCK": LimitRule(EventCountLimit(2, seconds=30.0), {}, "AHA practice standards 2017"),
    "PACER_NOT_CAPTURING": LimitRule(CaptureLimit(2, ms=300.0), {}, "Philips IntelliVue: pacer not capture"),
    "PACER_NOT_PACING": LimitRule(DurationLimit(2.0), {}, "Philips IntelliVue: pacer not pacing"),
    "CANNOT_ANALYZE": LimitRule(DurationLimit(10.0), {"seconds": (5, 30)}, "Philips IntelliVue: CANNOT ANALYZE ECG"),
    "LEADS_OFF": LimitRule(Limit(), {}, "IEC 60601-2-27"),
    "NOISY_SIGNAL": LimitRule(DurationLimit(10.0), {}, "IEC 60601-2-27"),
    "SILENT_FEED": LimitRule(DurationLimit(8.0), {"seconds": (5, 30)}, "IEC 60601-1-8: loss of communication"),
    "CLOCK_JUMP": LimitRule(DurationLimit(5.0), {}, ""),
    "DUPLICATE_SOURCE": LimitRule(DurationLimit(5.0), {}, ""),
    "PATIENT_MISMATCH": LimitRule(Limit(), {}, ""),
}
"""Default, bounds and source of each code: the table of ``docs/alarms.md#codes``."""


def criterion_of(code: str, rule: str, limit: float, accuracy: float = 0.0) -> Criterion:
    """The criterion that evidence of ``code`` cites: the rule and limit in force, with the source of the code."""
    return Criterion(rule, limit, RULES[code].source, accuracy)


@dataclass(frozen=True)
class Limits:
    """The limits of one bed.

    >>> Limits()["ASYSTOLE"].seconds
    4.0
    >>> Limits().with_changes({"BRADY": {"rate": 45}})["BRADY"].rate
    45.0
    """

    table: Mapping[str, Limit] = field(default_factory=lambda: {code: rule.default for code, rule in RULES.items()})

    @overload
    def __getitem__(self, code: DurationCode) -> DurationLimit: ...
    @overload
    def __getitem__(self, code: ConfirmedCode) -> ConfirmationLimit: ...
    @overload
    def __getitem__(self, code: RunCode) -> RunLimit: ...
    @overload
    def __getitem__(self, code: RateCode) -> RateLimit: ...
    @overload
    def __getitem__(self, code: BeatCountCode) -> BeatCountLimit: ...
    @overload
    def __getitem__(self, code: IntervalCode) -> IntervalLimit: ...
    @overload
    def __getitem__(self, code: StCode) -> StLimit: ...
    @overload
    def __getitem__(self, code: Literal["PVC_RATE"]) -> EventRateLimit: ...
    @overload
    def __getitem__(self, code: Literal["AV_BLOCK"]) -> EventCountLimit: ...
    @overload
    def __getitem__(self, code: Literal["R_ON_T"]) -> DistanceLimit: ...
    @overload
    def __getitem__(self, code: Literal["PACER_NOT_CAPTURING"]) -> CaptureLimit: ...
    @overload
    def __getitem__(self, code: Literal["QT_LONG"]) -> QtLimit: ...
    @overload
    def __getitem__(self, code: str) -> Limit: ...
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
        changed = Limits(table)
        for low, a, high, b in (
            ("EXTREME_BRADY", changed["EXTREME_BRADY"].rate, "BRADY", changed["BRADY"].rate),
            ("TACHY", changed["TACHY"].rate, "EXTREME_TACHY", changed["EXTREME_TACHY"].rate),
        ):
            if a >= b:
                raise ValueError(f"limits cross: {low} {a:g} bpm must stay below {high} {b:g} bpm")
        return changed

    def changes(self) -> dict[str, dict[str, Any]]:
        """Differences from the defaults; `with_changes` of them on `Limits()` gives these limits again."""
        out: dict[str, dict[str, Any]] = {}
        for code, limit in self.table.items():
            default = RULES[code].default
            parts = {p: getattr(limit, p) for p in _parts(limit) if getattr(limit, p) != getattr(default, p)}
            if parts:
                out[code] = parts
        return out


def _checked(code: str, part: str, value: Any) -> float | int | bool | None:
    """The value of one part as it is kept; ValueError names the part, the value and what is allowed."""
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
