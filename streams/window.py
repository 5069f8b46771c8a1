"""`EcgWindow`: one valid message of a bed's signal, int16 units [leads, samples] with their microvolts per unit.

The constructor checks every rule of the message (docs/produce.md#rejected-messages), for producers and readers alike;
`InvalidWindow` names the field, its value and what to do. `streams.wire` encodes and decodes it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.ecg import MAX_FS_HZ, MIN_FS_HZ, Ecg
from models.leads import canonical_lead, is_standard, lead_order
from streams.identifiers import BED_STREAM, described, holds_date, is_bed_stream

WINDOW_SCHEMA = 1
NO_SAMPLE = -32768  # a missing sample
MAX_UNITS = 32767  # the largest magnitude that is a sample
MIN_DURATION_S, MAX_DURATION_S = 0.2, 10.0
SAME_RATE = 0.005  # a declared rate within this share of the nominal one is that rate, measured
USUAL_RATES_HZ = (50.0, 62.5, 64.0, 75.0, 100.0, 120.0, 125.0, 128.0, 150.0, 180.0, 200.0, 240.0, 250.0, 256.0, 300.0,
                  320.0, 360.0, 400.0, 480.0, 500.0, 512.0, 600.0, 640.0, 720.0, 800.0, 960.0, 977.0, 1000.0, 1024.0,
                  1200.0, 1600.0, 2000.0)  # fmt: skip
MAX_COUNT = 2**53  # JSON readers represent integers exactly below this
MAX_LEADS = 64  # of one message: a 12-lead monitor sends at most 15; bounds the work that one message can cause
MAX_NAME = 64  # characters of a unit, bed or lead name
MAX_AGE_YEARS = 150
MAX_REASON = 600  # characters of the reason of a rejection
MAX_TIME_NS = 7_258_118_400 * 10**9  # year 2200: a later time has a wrong unit, and would overflow with durations
FINE_LSB_UV = 1.0  # default resolution; patient monitors have 2.5 to 5 microvolts

HARMLESS_SEX = {"f", "m", "female", "male", "other", "unknown", "u", "o"}  # repeated where they are rejected

Units = NDArray[np.int16]


class InvalidWindow(ValueError):  # noqa: N818  (a state of the window)
    """A field that breaks a rule of the message.

    Parameters
    ----------
    field_name : str
        The field of the message.
    text : str
        Field, value and what to do.
    """

    def __init__(self, field_name: str, text: str) -> None:
        if len(text) > MAX_REASON:  # a lead name may be a megabyte long; a reason travels in a header
            text = f"{text[: MAX_REASON // 2]} … {text[-MAX_REASON // 2 :]}"
        super().__init__(text)
        self.field_name = field_name


def _require(holds: bool, field_name: str, text: str) -> None:
    if not holds:
        raise InvalidWindow(field_name, f"{field_name} {text}")


@dataclass(frozen=True, eq=False)
class EcgWindow:
    """One message: 0.2 to 10 s of a bed's leads.

    Parameters
    ----------
    bed_stream, unit, bed, patient : str
        Source of the signal (the message key), ward, bed, pseudonym (empty: unknown).
    device_time_ns, gateway_time_ns : int
        UTC of the first sample by the device's clock; UTC when the last sample reached the gateway.
    epoch, sequence : int
        Counting: the epoch grows when the producer starts anew, the sequence by one a message.
    fs_hz : float
        Sampling rate, 50 to 2000 Hz.
    leads : tuple of str
        Canonical names, each once (``MLII`` counts as ``II``).
    lsb_uv : float32 array, shape [leads]
        Microvolts per unit; one value given for all leads is spread.
    samples : int16 array, shape [leads, samples]
        Units; -32768 where there is no sample.
    leads_off : tuple of str
        Those of ``leads`` that are detached.
    pacer_marks : int64 array
        Sample indices of pacing pulses, ascending.
    unknown : bytes
        Fields of a newer writer as they came: ignored here, sent along when the window is encoded again.
    """

    bed_stream: str
    unit: str
    bed: str
    patient: str
    device_time_ns: int
    gateway_time_ns: int
    epoch: int
    sequence: int
    fs_hz: float
    leads: tuple[str, ...]
    lsb_uv: NDArray[np.float32]
    samples: Units
    leads_off: tuple[str, ...] = ()
    pacer_marks: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    paced: bool = False
    age_years: int = 0
    sex: str = ""
    unknown: bytes = b""

    def __post_init__(self) -> None:
        check_counts(leads=len(self.leads), leads_off=len(self.leads_off), pacer_marks=np.size(self.pacer_marks))
        _check_names(self)
        _check_times_and_counts(self)
        object.__setattr__(self, "leads", _canonical(self.leads, "leads"))
        object.__setattr__(self, "leads_off", _canonical(self.leads_off, "leads_off"))
        _require(len(self.leads) > 0, "leads", "is empty: name at least one lead")
        loose = [x for x in self.leads_off if x not in self.leads]
        if loose:
            named, sent = ([x for x in names if is_standard(x)] for names in (loose, self.leads))
            raise InvalidWindow(
                "leads_off",
                f"leads_off names {', '.join(named) or 'others'}, but the leads are {', '.join(sent) or 'not these'}: "
                "name sent leads only",
            )
        object.__setattr__(self, "lsb_uv", _checked_gain(self.lsb_uv, len(self.leads)))
        _check_signal(self)
        object.__setattr__(self, "pacer_marks", _checked_marks(self.pacer_marks, self.n_samples))

    @property
    def n_samples(self) -> int:
        """Number of samples of each lead."""
        return int(self.samples.shape[1])

    @property
    def duration_s(self) -> float:
        """Length of the message in seconds."""
        return self.n_samples / self.fs_hz

    @property
    def last_sample_ns(self) -> int:
        """Device time of the last sample, UTC nanoseconds."""
        return self.device_time_ns + round((self.n_samples - 1) / self.fs_hz * 1e9)

    @property
    def clock_offset_ns(self) -> int:
        """Gateway time less device time of the last sample, ns; device time plus this is the time of documents."""
        return self.gateway_time_ns - self.last_sample_ns

    def to_ecg(self, start_ns: int | None = None, fs_hz: float | None = None) -> Ecg:
        """The signal [leads, samples] in mV, leads in canonical order, NaN for missing samples.

        Parameters
        ----------
        start_ns : int, optional
            UTC of the first sample; the device time by default.
        fs_hz : float, optional
            Nominal rate of the bed's signal; that of the message by default.
        """
        order = lead_order(self.leads)
        rows = [self.leads.index(lead) for lead in order]
        units = self.samples if rows == list(range(len(rows))) else self.samples[rows]
        return Ecg(
            leads=tuple(order),
            fs_hz=self.fs_hz if fs_hz is None else fs_hz,
            mv=millivolts(units, self.lsb_uv[rows]),
            start_ns=self.device_time_ns if start_ns is None else start_ns,
            leads_off=self.leads_off,
            pacer_marks=self.pacer_marks,
            paced=self.paced,
            age_years=self.age_years,
            sex=self.sex,
        )


def millivolts(units: Units, lsb_uv: NDArray[np.float32]) -> NDArray[np.float32]:
    """Units [leads, samples] in mV, NaN where there is no sample; ``lsb_uv``: microvolts per unit, [leads]."""
    mv: NDArray[np.float32] = units * (lsb_uv[:, None] * np.float32(1e-3))
    gaps = units == NO_SAMPLE
    if gaps.any():
        mv[gaps] = np.nan
    return mv


def window_of_ecg(
    ecg: Ecg,
    *,
    bed_stream: str,
    unit: str,
    bed: str,
    patient: str = "",
    epoch: int,
    sequence: int,
    gateway_time_ns: int,
    lsb_uv: float | None = None,
) -> EcgWindow:
    """The message of a signal; derived leads are left out, because readers derive them again.

    Parameters
    ----------
    ecg : Ecg
        Signal; its ``start_ns`` becomes the device time.
    lsb_uv : float, optional
        Microvolts per unit for all leads; samples beyond the int16 range saturate, as in a converter. By default
        1 microvolt, and more for a lead that would exceed the range.
    """
    recorded = [k for k, lead in enumerate(ecg.leads) if lead not in ecg.derived]
    uv = ecg.mv[recorded].astype(np.float64) * 1e3
    there = np.isfinite(uv)
    uv = np.where(there, uv, 0.0)
    if lsb_uv is None:
        peak_uv = np.abs(uv).max(axis=1) if uv.size else np.zeros(len(recorded))
        gain = np.maximum(FINE_LSB_UV, peak_uv / MAX_UNITS * (1 + 1e-6)).astype(np.float32)
    else:
        gain = np.full(len(recorded), lsb_uv, np.float32)
    units = np.clip(np.rint(uv / gain[:, None].astype(np.float64)), -MAX_UNITS, MAX_UNITS)
    return EcgWindow(
        bed_stream=bed_stream,
        unit=unit,
        bed=bed,
        patient=patient,
        device_time_ns=ecg.start_ns,
        gateway_time_ns=gateway_time_ns,
        epoch=epoch,
        sequence=sequence,
        fs_hz=ecg.fs_hz,
        leads=tuple(ecg.leads[k] for k in recorded),
        lsb_uv=gain,
        samples=np.where(there, units, NO_SAMPLE).astype(np.int16),
        leads_off=tuple(x for x in ecg.leads_off if x not in ecg.derived),
        pacer_marks=ecg.pacer_marks,
        paced=ecg.paced,
        age_years=ecg.age_years,
        sex=ecg.sex,
    )


def check_counts(*, leads: int, leads_off: int, pacer_marks: int) -> None:
    """Raise `InvalidWindow` for a message of too many parts; costs the same whatever the message holds."""
    if leads > MAX_LEADS:
        raise InvalidWindow("leads", f"leads has {leads} names, not 1 to {MAX_LEADS}: send ECG leads only")
    if leads_off > MAX_LEADS:
        raise InvalidWindow("leads_off", f"leads_off has {leads_off} names, not 0 to {MAX_LEADS}: name each lead once")
    most = int(MAX_DURATION_S * MAX_FS_HZ) + 1
    if pacer_marks > most:
        raise InvalidWindow(
            "pacer_marks", f"pacer_marks has {pacer_marks} values, not 0 to {most}: send one for each pacing pulse"
        )


def _check_names(window: EcgWindow) -> None:
    # A rejected name may be that of a person: the reason does not repeat it (`streams.identifiers`).
    if not is_bed_stream(window.bed_stream):
        raise InvalidWindow(
            "bed_stream",
            f"bed_stream {described(window.bed_stream)} does not match {BED_STREAM.pattern}, or holds a date: "
            "use a name such as icu-3/07",
        )
    for name in ("unit", "bed"):
        value: str = getattr(window, name)
        if len(value) > MAX_NAME or not value.isprintable() or holds_date(value):
            raise InvalidWindow(
                name,
                f"{name} {described(value)} is not 0 to {MAX_NAME} printable characters without a date: "
                "shorten or clean it",
            )
    if window.sex not in ("F", "M", ""):
        text = repr(window.sex) if window.sex.lower() in HARMLESS_SEX else described(window.sex)
        raise InvalidWindow("sex", f'sex {text} is none of "F", "M", "": leave it empty where it is not known')
    if not 0 <= window.age_years <= MAX_AGE_YEARS:
        raise InvalidWindow(
            "age_years", f"age_years {window.age_years} is not in 0…{MAX_AGE_YEARS}: send 0 where it is not known"
        )


def _check_times_and_counts(window: EcgWindow) -> None:
    if not 0 <= window.device_time_ns < MAX_TIME_NS:
        raise InvalidWindow(
            "device_time_ns",
            f"device_time_ns {window.device_time_ns} is not between 1970 and 2200: "
            "send UTC nanoseconds of the first sample",
        )
    if not 0 < window.gateway_time_ns < MAX_TIME_NS:
        raise InvalidWindow(
            "gateway_time_ns",
            f"gateway_time_ns {window.gateway_time_ns} is not between 1970 and 2200: "
            "send UTC nanoseconds of the arrival of the last sample at the gateway",
        )
    for name in ("epoch", "sequence"):
        value: int = getattr(window, name)
        if not 0 <= value < MAX_COUNT:
            raise InvalidWindow(
                name, f"{name} {value} is not in 0…2^53 - 1: count on from 0, or from the epoch's start in ms"
            )
    if not MIN_FS_HZ <= window.fs_hz <= MAX_FS_HZ:  # NaN fails too
        raise InvalidWindow(
            "sampling_rate",
            f"sampling_rate {window.fs_hz} is not in {MIN_FS_HZ:g}…{MAX_FS_HZ:g} Hz: send samples per second, "
            "resampled if needed",
        )


@lru_cache(maxsize=128)  # a bed sends the same names every second; names that are refused are not kept
def _canonical(labels: tuple[str, ...], field_name: str) -> tuple[str, ...]:
    names = tuple(canonical_lead(label) for label in labels)
    for label, name in zip(labels, names, strict=True):
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise InvalidWindow(
                field_name,
                f"{field_name} holds a name {described(label)}: use a label of 1 to {MAX_NAME} printable characters",
            )
    if len(set(names)) != len(names):
        name = next(x for x in names if names.count(x) > 1)  # at most `MAX_LEADS` names
        both = " and ".join(label for label, x in zip(labels, names, strict=True) if x == name)
        what = f"{name} twice ({both})" if is_standard(name) else f"a lead twice {described(name)}"
        raise InvalidWindow(field_name, f"{field_name} names {what}: send each lead once")
    return names


def _checked_gain(lsb_uv: NDArray[np.float32], n_leads: int) -> NDArray[np.float32]:
    gain = np.atleast_1d(np.asarray(lsb_uv, np.float32))
    if gain.size not in (1, n_leads):
        raise InvalidWindow(
            "lsb_uv", f"lsb_uv has {gain.size} values for {n_leads} leads: send one for all, or one per lead"
        )
    for value in gain.tolist():
        if not (math.isfinite(value) and value > 0):
            raise InvalidWindow(
                "lsb_uv", f"lsb_uv {value} is not a positive number of microvolts: send the gain of each lead"
            )
    return np.repeat(gain, n_leads) if gain.size != n_leads else gain


def _check_signal(window: EcgWindow) -> None:
    samples = window.samples
    if samples.dtype != np.int16 or samples.ndim != 2 or samples.shape[0] != len(window.leads):
        raise InvalidWindow(
            "samples",
            f"samples are {samples.dtype}{list(samples.shape)} for {len(window.leads)} leads: "
            "send int16 [leads, samples]",
        )
    n = samples.shape[1]
    _require(n > 0, "samples", "is empty: send 0.2 to 10 s of signal")
    # Tolerance below one sample: 0.2 s at 257 Hz are 51.4 samples, sent as 51 or 52. A measured rate is that of the
    # nominal one: 10 s at 250 Hz have 2,500 samples also where 249.8 Hz is declared.
    least = MIN_DURATION_S * window.fs_hz - 1
    nominal_hz = max([window.fs_hz, *(x for x in USUAL_RATES_HZ if abs(window.fs_hz / x - 1) <= SAME_RATE)])
    most = MAX_DURATION_S * nominal_hz + 1
    if not least < n < most:
        raise InvalidWindow(
            "samples",
            f"samples last {n / window.fs_hz:.3f} s ({n} at {window.fs_hz:g} Hz), "
            f"not {MIN_DURATION_S:g} to {MAX_DURATION_S:g} s: cut the signal into messages of about 1 s",
        )


def _checked_marks(marks: NDArray[np.int64], n_samples: int) -> NDArray[np.int64]:
    marks = np.asarray(marks, np.int64)
    if marks.size == 0:
        return marks
    if marks.min() < 0 or marks.max() >= n_samples:
        wrong = int(marks[(marks < 0) | (marks >= n_samples)][0])
        raise InvalidWindow(
            "pacer_marks",
            f"pacer_marks {wrong} is not in 0…{n_samples - 1}: count samples from the start of the message",
        )
    return np.unique(marks)
