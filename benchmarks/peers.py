"""Other programs with the command line of ``gem-bedside measure``, for the benchmark alone.

    python benchmarks/peers.py PEER measure|speed RECORD… --json

PEER is neurokit2, sleepecg, xqrs (wfdb) or openecg. Runs in any environment that has wfdb and the peer, so that openecg
may live in one of its own. Beats are taken from lead II where there is one, else from the first lead, as these programs
read one lead; `global` marks are medians over the leads that show the wave.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

KEYS = ("p_on", "p_peak", "p_off", "qrs_on", "qrs_off", "t_on", "t_peak", "t_off")
Marks = dict[str, "int | None"]
Answer = tuple[np.ndarray, list[dict[str, Marks]]]
SPEED_REPEATS = 5
WAVES_UP_TO_S = 60.0  # longer records are measured for their beats alone


def neurokit2(sig: np.ndarray, fs: float, leads: list[str], main: int) -> Answer:
    """NeuroKit2: R peaks of the main lead, waves of each lead by its wavelet delineator."""
    import neurokit2 as nk

    rate = int(fs)
    r = nk.ecg_peaks(nk.ecg_clean(sig[:, main], rate), rate)[1]["ECG_R_Peaks"]
    beats: list[dict[str, Marks]] = [{} for _ in r]
    names = (
        "ECG_P_Onsets",
        "ECG_P_Peaks",
        "ECG_P_Offsets",
        "ECG_R_Onsets",
        "ECG_R_Offsets",
        "ECG_T_Onsets",
        "ECG_T_Peaks",
        "ECG_T_Offsets",
    )
    if len(sig) <= WAVES_UP_TO_S * fs:
        for k, lead in enumerate(leads):
            found = nk.ecg_delineate(nk.ecg_clean(sig[:, k], rate), r, rate, method="dwt")[1]
            for b in range(len(r)):
                values = [found[n][b] if b < len(found[n]) else np.nan for n in names]
                marks = [None if v is None or np.isnan(v) else int(v) for v in values]
                beats[b][lead] = dict(zip(KEYS, marks, strict=True))
    return r, beats


def sleepecg(sig: np.ndarray, fs: float, leads: list[str], main: int) -> Answer:
    """SleepECG: R peaks of the main lead."""
    import sleepecg as peer

    r = peer.detect_heartbeats(sig[:, main], fs)
    return r, [{} for _ in r]


def xqrs(sig: np.ndarray, fs: float, leads: list[str], main: int) -> Answer:
    """WFDB's XQRS: R peaks of the main lead."""
    import wfdb.processing

    r = wfdb.processing.xqrs_detect(sig[:, main], fs, verbose=False)
    return r, [{} for _ in r]


def openecg(sig: np.ndarray, fs: float, leads: list[str], main: int) -> Answer:
    """OpenECG: R peaks of the main lead, waves of each lead by its network."""
    import openecg as peer
    from openecg.deploy import Inference
    from scipy.signal import resample_poly

    r = np.asarray(peer.detect_qrs(sig[:, main], int(fs)))
    if len(sig) > WAVES_UP_TO_S * fs:
        return r, [{lead: dict.fromkeys(KEYS) for lead in leads} for _ in r]
    network = Inference()
    waves = []
    for k, lead in enumerate(leads):
        for w, window in enumerate(network.predict(resample_poly(sig[:, k], 250, int(fs)))):
            waves += [(lead, b.name, *((w * 2500 + x) * fs / 250 for x in (b.start, b.end))) for b in window]
    for lead, name, on, off in waves:  # a beat that its network marks and its detector missed is one
        if lead == leads[main] and name == "QRS" and not (np.abs(r - (on + off) / 2) < 0.2 * fs).any():
            r = np.sort(np.append(r, round((on + off) / 2)))
    beats: list[dict[str, Marks]] = [{lead: dict.fromkeys(KEYS) for lead in leads} for _ in r]
    for lead, name, on, off in waves:
        middle = (on + off) / 2
        if name == "QRS":
            beat = int(np.argmin(np.abs(r - middle))) if len(r) else -1
        else:
            beat = int(np.searchsorted(r, middle)) - (name == "T")
        if 0 <= beat < len(r) and abs(r[beat] - middle) < 0.8 * fs:
            beats[beat][lead] |= {f"{name.lower()}_on": round(on), f"{name.lower()}_off": round(off)}
    return r, beats


def neurokit2_each_lead(sig: np.ndarray, fs: float, leads: list[str], main: int) -> None:
    """Every lead by itself: cleaned, peaks, delineated (dwt); how GEM's beat features are made."""
    import neurokit2 as nk

    for row in sig.T:
        clean = nk.ecg_clean(row, int(fs))
        nk.ecg_delineate(clean, nk.ecg_peaks(clean, int(fs))[1]["ECG_R_Peaks"], int(fs), method="dwt")


def neurokit2_with_quality(sig: np.ndarray, fs: float, leads: list[str], main: int) -> None:
    """Every lead by itself: cleaned, peaks, quality, delineated (dwt): all that ours measures of a lead."""
    import neurokit2 as nk

    for row in sig.T:
        clean = nk.ecg_clean(row, int(fs))
        r = nk.ecg_peaks(clean, int(fs))[1]["ECG_R_Peaks"]
        nk.ecg_quality(clean, rpeaks=r, sampling_rate=int(fs))
        nk.ecg_delineate(clean, r, int(fs), method="dwt")


def neurokit2_process(sig: np.ndarray, fs: float, leads: list[str], main: int) -> None:
    """Every lead by itself through the program's own pipeline `ecg_process`."""
    import neurokit2 as nk

    for row in sig.T:
        nk.ecg_process(row, int(fs))


PEERS: dict[str, Callable[[np.ndarray, float, list[str], int], Answer]] = {
    "neurokit2": neurokit2,
    "sleepecg": sleepecg,
    "xqrs": xqrs,
    "openecg": openecg,
}


JOBS: dict[str, dict[str, Callable[[np.ndarray, float, list[str], int], Any]]] = {  # what is timed
    "neurokit2": {
        "beats of one lead, waves of each (as scored above)": neurokit2,
        "each lead: beats, waves": neurokit2_each_lead,
        "each lead: beats, quality, waves": neurokit2_with_quality,
        "each lead: `ecg_process`": neurokit2_process,
    },
    "sleepecg": {"beats of one lead": sleepecg},
    "xqrs": {"beats of one lead": xqrs},
    "openecg": {"beats of one lead, waves of each": openecg},
}


def _median(beats: list[dict[str, Marks]]) -> list[Marks]:
    out = []
    for beat in beats:
        marks: Marks = {}
        for key in KEYS:
            values = [v for m in beat.values() if (v := m.get(key)) is not None]
            marks[key] = round(float(np.median(values))) if values and 2 * len(values) >= len(beat) else None
        out.append(marks)
    return out


def _intervals(r: np.ndarray, overall: list[Marks], fs: float) -> dict[str, float | None]:
    def median(first: str, last: str) -> float | None:
        pairs = [(m[first], m[last]) for m in overall]
        spans = [(b - a) * 1000 / fs for a, b in pairs if a is not None and b is not None]
        return float(np.median(spans)) if spans and 2 * len(spans) >= len(overall) else None

    rr = np.diff(r) / fs
    return {
        "HR": 60.0 / float(np.mean(rr)) if len(rr) else None,
        "PR": median("p_on", "qrs_on"),
        "QRS": median("qrs_on", "qrs_off"),
        "QT": median("qrs_on", "t_off"),
    }


def read(path: str) -> tuple[np.ndarray, float, list[str], int]:
    """Signal [samples, leads] in mV, sampling rate, names of the leads, and the lead for beat detection."""
    import wfdb

    record = wfdb.rdrecord(path)
    leads = list(record.sig_name)
    main = next((k for k, n in enumerate(leads) if n.upper() in ("II", "MLII")), 0)
    return np.nan_to_num(record.p_signal), float(record.fs), leads, main


def measure(peer: str, path: str) -> dict[str, Any]:
    """The answer of ``gem-bedside measure`` for one record, by a peer."""
    sig, fs, leads, main = read(path)
    r, beats = PEERS[peer](sig, fs, leads, main)
    overall = _median(beats)
    each = [{"r": int(x), "kind": "?", "global": m, "leads": b} for x, m, b in zip(r, overall, beats, strict=True)]
    return {
        "record": path,
        "fs": fs,
        "n_samples": len(sig),
        "leads": leads,
        "r_peaks": [int(x) for x in r],
        "beats": each,
        "intervals": _intervals(np.asarray(r), overall, fs),
        "quality": {},
    }


def speed(peer: str, path: str, repeats: int) -> dict[str, float]:
    """CPU milliseconds of each of the peer's `JOBS` on a record that has been read; the first call is not counted."""
    given, out = read(path), {}
    for name, job in JOBS[peer].items():
        times = []
        for _ in range(repeats + 1):
            start = time.process_time()
            job(*given)
            times.append((time.process_time() - start) * 1000.0)
        out[name] = float(np.median(times[1:]))
    return out


def main() -> None:
    """One JSON line a record."""
    warnings.simplefilter("ignore")
    peer, verb, *paths = [a for a in sys.argv[1:] if not a.startswith("--")]
    for path in paths:
        if verb == "speed":
            print(json.dumps(speed(peer, path, SPEED_REPEATS)), flush=True)
            continue
        try:
            print(json.dumps(measure(peer, path)), flush=True)
        except Exception as e:  # an exception of a peer is its answer for this record
            print(json.dumps({"record": path, "error": f"{type(e).__name__}: {e}"}), flush=True)


if __name__ == "__main__":
    main()
