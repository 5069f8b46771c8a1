"""``gem-bedside encode RECORD… -o F.npz``: ECG-CoCa tokens and pooled feature of each 10-s window."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.commands.options import Fs, Json, ModelDir, Records

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models.ecg import Ecg

WINDOW_S, ENCODER_FS_HZ = 10.0, 500.0  # the encoder's input: 5000 samples at 500 Hz
_BATCH = 16


def command(
    records: Records,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="F.npz",
            help="Output file; for several records a folder, with one file per record.",
        ),
    ],
    model: ModelDir = None,
    fs: Fs = None,
    as_json: Json = False,
) -> None:
    """Encode 10-s windows with ECG-CoCa."""
    import numpy as np

    from deploy.failures import CommandFailed
    from deploy.model_loading import load_encoder
    from deploy.output import Output, complain
    from models.records import read_record

    out = Output(as_json)
    session = load_encoder(model)
    failed = 0
    for record in records:
        try:
            ecg = read_record(record, fs)
            windows, start_s = ten_second_windows(ecg)
            parts = [session.encode(windows[k : k + _BATCH]) for k in range(0, len(windows), _BATCH)]
            path = output if len(records) == 1 else output / f"{Path(record).name}.npz"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(
                path,
                tokens=np.concatenate([p.tokens for p in parts]),
                pooled=np.concatenate([p.pooled for p in parts]),
                start_s=start_s,
            )
        except (OSError, ValueError) as error:
            failed += 1
            out.line({"record": record, "error": str(error)}) if as_json else complain(f"{record}: {error}")
            continue
        answer: dict[str, Any] = {
            "record": record,
            "file": str(path),
            "windows": len(start_s),
            "encoder": {
                "name": session.name,
                "weights": session.weights,
                "provider": session.provider,
                "trained": session.trained,
            },
        }
        if as_json:
            out.line(answer)
        else:
            note = "" if session.trained else ", random weights"
            out.console.print(f"{record}: {len(start_s)} windows → {path}  ({session.name}{note})")
    if failed:
        raise CommandFailed(f"{failed} of {len(records)} records could not be encoded")


def ten_second_windows(ecg: Ecg) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Windows ``float32 [n, 12, 5000]`` mV without overlap, and their starts in seconds; a shorter rest is left out.

    Raises
    ------
    ValueError
        The record is shorter than one window.
    """
    import numpy as np

    from models.signal.conditioning import to_twelve

    mv, _ = to_twelve(ecg, fs_hz=ENCODER_FS_HZ)
    size = round(WINDOW_S * ENCODER_FS_HZ)
    n = mv.shape[1] // size
    if n == 0:
        raise ValueError(f"the record lasts {ecg.duration_s:.2f} s: the encoder needs windows of {WINDOW_S:g} s")
    windows = mv[:, : n * size].reshape(12, n, size).transpose(1, 0, 2)
    return np.nan_to_num(windows, nan=0.0).astype(np.float32), np.arange(n) * WINDOW_S
