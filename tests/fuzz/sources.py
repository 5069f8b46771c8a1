"""Signals with a known lethal episode, and without one: splices of recordings, true ICU alarms, synthetic beats.

In: the folder of recordings, or None. Out: `Source` by name, mV at 250 Hz. The ICU alarms (CinC 2015) have no marked
onset: theirs is where the undistorted record gives the episode of the alarm. An ICU alarm is demanded of a distorted
record only where the record fulfils its rule by more than measuring accuracy (`BEYOND_ACCURACY`): of a run with just
the limit's number of beats, or a rate at the limit, one beat or 5 a minute decide, and neither answer is wrong.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from models.arrhythmia.criteria.tachycardia import FUSED
from models.arrhythmia.limits import Limits
from models.arrhythmia.tier import find_episodes
from models.ecg import Ecg
from models.leads import canonical_lead
from tests.agents.signals import ecg as synthetic_ecg
from tests.fuzz.parts import ROOT, digest

BEFORE_S, AFTER_S = 30.0, 20.0
ALARM_S, ICU_HZ = 300.0, 250.0  # of the CinC 2015 records
ICU_BEFORE_S = 36.0
ICU_CODES = {
    "Asystole": "ASYSTOLE",
    "Bradycardia": "EXTREME_BRADY",
    "Tachycardia": "EXTREME_TACHY",
    "Ventricular_Flutter_Fib": "VFIB",
    "Ventricular_Tachycardia": "VTACH",
}
ICU_RECORDS_A_CODE = 8
BEYOND_ACCURACY = {
    "ASYSTOLE": {"seconds": 4.5},
    "VFIB": {"seconds": 4.5},
    "VTACH": {"beats": 5 + FUSED, "rate": 105},
    "EXTREME_BRADY": {"rate": 35},
    "EXTREME_TACHY": {"rate": 145},
}
"""Default limits made stricter by their accuracy (docs/alarms.md: 0.5 s, 5 a minute, `FUSED` beats of a run)."""
CLEAR_WITHIN_S = 5.0  # the stricter rule is fulfilled from this soon after the onset on, so that 10 s show it
ONSETS = ROOT / ".gem-bedside" / f"fuzz-onsets-{digest()}.json"  # of the ICU alarms: half a minute to find, by the code


@dataclass(frozen=True, eq=False)
class Source:
    """A signal; ``code`` is empty and ``onset_s`` None where no lethal episode is in it.

    ``clear``: the episode fulfils its rule by more than measuring accuracy.
    """

    name: str
    code: str
    ecg: Ecg
    onset_s: float | None
    clear: bool = True


@lru_cache(maxsize=2)
def sources(data: Path | None, icu: bool = True) -> dict[str, Source]:
    """All sources by name, in a fixed order; the synthetic ones need no data."""
    found = _synthetic()
    if data is not None and (data / "mitdb").is_dir() and (data / "cudb").is_dir():
        found += _splices(data)
    if data is not None and icu and (data / "cinc2015" / "manifest.csv").is_file():
        found += _icu_alarms(data / "cinc2015")
    return {source.name: source for source in found}


def _synthetic() -> list[Source]:
    """Beats of a fixed template: a standstill, none, slow and fast beats."""
    whole = BEFORE_S + AFTER_S
    before = synthetic_ecg(BEFORE_S, 75.0)

    def joined(bpm: float) -> Ecg:
        after = synthetic_ecg(AFTER_S, bpm, seed=2)
        return Ecg(before.leads, before.fs_hz, np.hstack([before.mv, after.mv]))

    last_beat = 0.4 + 0.8 * int((BEFORE_S - 0.4) / 0.8)
    return [
        Source("synthetic rhythm", "", synthetic_ecg(whole), None),
        Source("synthetic ASYSTOLE", "ASYSTOLE", synthetic_ecg(whole, silent=[(BEFORE_S, whole)]), last_beat),
        Source("synthetic EXTREME_BRADY", "EXTREME_BRADY", joined(30.0), BEFORE_S),
        Source("synthetic EXTREME_TACHY", "EXTREME_TACHY", joined(170.0), BEFORE_S),
    ]


def _splices(data: Path) -> list[Source]:
    from models.evaluation.splices import scripted

    found = []
    for splice in scripted(data):
        start = max(0, splice.onset - round(BEFORE_S * splice.ecg.fs_hz))
        stop = splice.onset + round(AFTER_S * splice.ecg.fs_hz)
        onset_s = (splice.onset - start) / splice.ecg.fs_hz
        found.append(Source(f"{splice.code} {splice.name}", splice.code, splice.ecg.slice(start, stop), onset_s))
        if splice.code == "ASYSTOLE":
            found.append(Source(f"rhythm {splice.name}", "", splice.ecg.slice(0, splice.onset), None))
    return found


def _icu_alarms(folder: Path) -> list[Source]:
    """True alarms with 30 s after them; the onset is where the undistorted record gives the alarm's episode."""
    import wfdb

    found: list[Source] = []
    onsets: dict[str, tuple[float | None, bool]] = json.loads(ONSETS.read_text()) if ONSETS.exists() else {}
    with (folder / "manifest.csv").open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["true_alarm"] == "1" and row["record"].endswith("l")]
    for alarm, code in ICU_CODES.items():
        for row in [r for r in rows if r["alarm"] == alarm][:ICU_RECORDS_A_CODE]:
            first = round((ALARM_S - ICU_BEFORE_S) * ICU_HZ)
            record = wfdb.rdrecord(str(folder / "records" / row["record"]), sampfrom=first)
            mv = record.p_signal.T[[k for k, unit in enumerate(record.units) if unit == "mV"]].astype(np.float32)
            if not np.isfinite(mv).all() or float(record.fs) != ICU_HZ:
                continue
            ecg = Ecg(tuple(canonical_lead(x) for x in record.sig_name[: len(mv)]), ICU_HZ, mv)
            name = f"{code} {row['record']}"
            if name not in onsets:
                onset_s = _onset_s(ecg, code)
                onsets[name] = onset_s, onset_s is not None and _is_clear(ecg, code, onset_s)
            onset_s, clear = onsets[name]
            if onset_s is not None:
                found.append(Source(name, code, ecg, onset_s, clear))
    ONSETS.parent.mkdir(exist_ok=True)
    ONSETS.write_text(json.dumps(onsets))
    return found


def _onset_s(ecg: Ecg, code: str) -> float | None:
    """Onset of the episode that stands within the 12 s before the alarm; None where the record gives none."""
    at_s = [e.onset / ecg.fs_hz for e in find_episodes(ecg) if e.code == code]
    return next((s for s in at_s if ICU_BEFORE_S - 12 <= s <= ICU_BEFORE_S + 2), None)


def _is_clear(ecg: Ecg, code: str, onset_s: float) -> bool:
    """The record fulfils the rule with a limit that is stricter by its accuracy; a run has all its beats."""
    least = BEYOND_ACCURACY[code].get("beats", 0)
    strict = find_episodes(ecg, Limits().with_changes({code: BEYOND_ACCURACY[code]}))
    whole = [e for e in strict if e.code == code and len(e.evidence[0].beats) + 1 >= least]
    onset, latest = onset_s * ecg.fs_hz, (onset_s + CLEAR_WITHIN_S) * ecg.fs_hz
    return any(e.onset <= latest and (e.end is None or e.end > onset) for e in whole)
