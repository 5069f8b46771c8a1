"""The models of a command line: loaded from ``--model``, else from the settings, else those that are shipped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from deploy.failures import ServiceMissing, WrongUse, needs_extra

if TYPE_CHECKING:
    from deploy.record_alert import Reader
    from models.encoder.session import EncoderSession


def load_encoder(folder: str | None) -> EncoderSession:
    """The encoder of a folder: its ONNX graph, or the tower of a GEM checkpoint, exported once into the user's cache.

    Raises
    ------
    ServiceMissing
        No encoder there, or a device that is not.
    """
    from agents.settings import Settings
    from models.encoder.session import EncoderSession, EncoderUnavailable

    settings = Settings()
    path = Path(folder) if folder is not None else settings.encoder
    if path is not None and not path.is_dir():
        raise WrongUse(f"--model {path}: no such folder")
    if path is not None and not (path / "model.onnx").is_file():
        path = _exported(path)
    try:
        return EncoderSession.load(path, settings.device)
    except EncoderUnavailable as missing:
        raise ServiceMissing(str(missing)) from missing


def _exported(checkpoint: Path) -> Path:
    """The tower of a GEM checkpoint as an ONNX folder, kept in the user's cache for the next time."""
    import hashlib
    import os

    stamp = "|".join(f"{f.name} {f.stat().st_size} {f.stat().st_mtime_ns}" for f in sorted(checkpoint.iterdir()))
    key = hashlib.sha256(f"{checkpoint.resolve()}|{stamp}".encode()).hexdigest()[:16]
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "gem-bedside" / f"encoder-{key}"
    if (folder / "config.json").is_file():
        return folder
    with needs_extra("gem"):
        from models.encoder.export import write_encoder
        from models.gem.checkpoint import CheckpointError, read_tower

        try:
            state, config, trained = read_tower(checkpoint)
        except CheckpointError as missing:
            raise ServiceMissing(str(missing)) from missing
        write_encoder(folder, state, config, name=f"ecg-coca of {checkpoint.name}", trained=trained)
    return folder


def load_reader(folder: str | None, measured: bool) -> Reader:
    """Whoever reads windows: GEM of a folder, else the shipped compact one, else the measurements with the reason.

    Raises
    ------
    ServiceMissing
        ``--model`` names a checkpoint that cannot be loaded.
    """
    from models.interpretation import interpret_measured

    def words(reason: str) -> Reader:
        return lambda window, given: interpret_measured(
            window, reason=reason, first_citation=len(given) + 1, given=given
        )

    return words("asked for")
