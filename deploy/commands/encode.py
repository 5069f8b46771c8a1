"""``gem-bedside encode RECORD… -o F.npz``: ECG-CoCa tokens and pooled feature of each 10-s window."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.commands.options import Channels, Fs, Json, ModelDir, Records, VoltageUnit


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
    channels: Channels = None,
    unit: VoltageUnit = None,
    as_json: Json = False,
) -> None:
    """Encode 10-s windows with ECG-CoCa."""
    import numpy as np

    from deploy.failures import CommandFailed
    from deploy.model_loading import load_encoder
    from deploy.output import Output, complain
    from deploy.record_options import RecordOptions
    from models.encoder.encode import encode

    options = RecordOptions.parsed(fs, channels, unit)
    out = Output(as_json)
    session = load_encoder(model)
    failed = 0
    for record in records:
        try:
            ecg = options.read(record)
            encoded = encode(ecg, session)
            path = output if len(records) == 1 else output / f"{Path(record).name}.npz"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, tokens=encoded.tokens, pooled=encoded.pooled, start_s=encoded.start_s)
        except (OSError, ValueError) as error:
            failed += 1
            out.line({"record": record, "error": str(error)}) if as_json else complain(f"{record}: {error}")
            continue
        answer: dict[str, Any] = {
            "record": record,
            "file": str(path),
            "windows": len(encoded.start_s),
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
            out.console.print(f"{record}: {len(encoded.start_s)} windows → {path}  ({session.name}{note})")
    if failed:
        raise CommandFailed(f"{failed} of {len(records)} records could not be encoded")
