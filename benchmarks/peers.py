"""Other programs behind the command line of ``gem-bedside measure``, for the benchmark alone.

    python benchmarks/peers.py PEER measure RECORD… --json

PEER is neurokit2, sleepecg, xqrs (wfdb) or openecg. Runs in any environment that has wfdb and the peer, so that openecg
may live in one of its own. Beats are taken from lead II where there is one, else from the first lead, as these programs
read one lead; `global` marks are medians over the leads that show the wave.
"""
from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

KEYS = ("p_on", "p_peak", "p_off", "qrs_on", "qrs_off", "t_on", "t_peak", "t_off")
Marks = dict[str, "int | None"]
Answer = tuple[np.ndarray, list[dict[str, Marks]]]
WAVES_UP_TO_S = 60.0  # longer records are asked for their beats alone


def neurokit2(sig: np.ndarray, fs: float, leads: list[str], main: int) -> Answer:
    import neurokit2 as nk

    rate = int(fs)
    r = nk.ecg_peaks(nk.ecg_clean(sig[:, main], rate), rate)[1]["ECG_R_Peaks"]
    beats: list[dict[str, Marks]] = [{} for _ in r]
    names = ("ECG_P_Onsets", "ECG_P_Peaks", "ECG_P_Offsets", "ECG_R_Onsets", "ECG_R_Offsets", "ECG_T_Onsets",
             "ECG_T_Peaks", "ECG_T_Offsets")
    if len(sig) <= WAVES_UP_TO_S * fs:
        for k, lead in enumerate(leads):
            found = nk.ecg_delineate(nk.ecg_clean(sig[:, k], rate), r, rate, method="dwt")[1]
            for b in range(len(r)):
                values = [found[n][b] if b < len(found[n]) else np.nan for n in names]
                marks = [None if v is None or np.isnan(v) else int(v) for v in values]
                beats[b][lead] = dict(zip(KEYS, marks, strict=True))
    return r, beats


def sleepecg(sig: np.ndarray, fs: float, leads: list[str], main: int) -> Answer:
    import sleepecg as peer

    r = peer.detect_heartbeats(sig[:, main], fs)
    return r, [{} for _ in r]


def xqrs(sig: np.ndarray, fs: float, leads: list[str], main: int) -> Answer:
    import wfdb.processing

    r = wfdb.processing.xqrs_detect(sig[:, main], fs, verbose=False)
    return r, [{} for _ in r]


def openecg(sig: np.ndarray, fs: float, leads: list[str], main: int) -> Answer:
    import openecg as peer
    from openecg.deploy import Inference
    from scipy.signal import resample_poly

    r = peer.detect_qrs(sig[:, main], int(fs))
    beats: list[dict[str, Marks]] = [{lead: dict.fromkeys(KEYS) for lead in leads} for _ in r]
    if len(sig) > WAVES_UP_TO_S * fs or not len(r):
        return r, beats
    network = Inference()
    for k, lead in enumerate(leads):
        at_250 = resample_poly(sig[:, k], 250, int(fs))
        for w, window in enumerate(network.predict(at_250)):
            for b in window:
                on, off = ((w * 2500 + x) * fs / 250 for x in (b.start, b.end))
                middle = (on + off) / 2
                if b.name == "QRS":
                    beat = int(np.argmin(np.abs(r - middle)))
                elif b.name == "T":
                    beat = int(np.searchsorted(r, middle)) - 1
                else:
                    beat = int(np.searchsorted(r, middle))
                if 0 <= beat < len(r) and abs(r[beat] - middle) < 0.8 * fs:
                    beats[beat][lead] |= {f"{b.name.lower()}_on": round(on), f"{b.name.lower()}_off": round(off)}
    return r, beats


PEERS: dict[str, Callable[[np.ndarray, float, list[str], int], Answer]] = {
    "neurokit2": neurokit2, "sleepecg": sleepecg, "xqrs": xqrs, "openecg": openecg}


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
        return float(np.median(spans)) if spans else None

    rr = np.diff(r) / fs
    return {"HR": 60.0 / float(np.mean(rr)) if len(rr) else None, "PR": median("p_on", "qrs_on"),
            "QRS": median("qrs_on", "qrs_off"), "QT": median("qrs_on", "t_off")}


def measure(peer: str, path: str) -> dict[str, Any]:
    import wfdb

    record = wfdb.rdrecord(path)
    leads, sig = list(record.sig_name), np.nan_to_num(record.p_signal)
    main = next((k for k, n in enumerate(leads) if n.upper() in ("II", "MLII")), 0)
    r, beats = PEERS[peer](sig, float(record.fs), leads, main)
    overall = _median(beats)
    each = [{"r": int(x), "kind": "?", "global": m, "leads": b} for x, m, b in zip(r, overall, beats, strict=True)]
    return {"record": path, "fs": record.fs, "n_samples": len(sig), "leads": leads, "r_peaks": [int(x) for x in r],
            "beats": each, "intervals": _intervals(np.asarray(r), overall, float(record.fs)), "quality": {}}


def main() -> None:
    warnings.simplefilter("ignore")
    peer, _, *paths = [a for a in sys.argv[1:] if not a.startswith("--")]
    for path in paths:
        try:
            print(json.dumps(measure(peer, path)), flush=True)
        except Exception as e:  # whatever a peer raises is its answer for this record
            print(json.dumps({"record": path, "error": f"{type(e).__name__}: {e}"}), flush=True)


if __name__ == "__main__":
    main()
