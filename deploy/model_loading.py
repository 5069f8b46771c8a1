"""The models of a command: loaded from ``--model``, else from the settings, else the shipped ones."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.failures import ServiceMissing, WrongUse, needs_extra

if TYPE_CHECKING:
    from agents.interpreter.gem_reader import GemReader
    from agents.settings import Settings
    from deploy.record_alert import Reader
    from models.ecg import Ecg
    from models.encoder.session import EncoderSession
    from models.evidence import Evidence
    from models.grounding.draft import Draft


def load_encoder(folder: str | None) -> EncoderSession:
    """Encoder of a folder: its ONNX graph, or the tower of a GEM checkpoint, exported once to the user's cache.

    Raises
    ------
    ServiceMissing
        The folder holds no encoder, or the device is missing.
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
    """ONNX folder of a GEM checkpoint's tower, in the user's cache."""
    import hashlib
    import os

    stamp = "|".join(f"{f.name} {f.stat().st_size} {f.stat().st_mtime_ns}" for f in sorted(checkpoint.iterdir()))
    key = hashlib.sha256(f"{checkpoint.resolve()}|{stamp}".encode()).hexdigest()[:16]
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "gem-bedside" / f"encoder-{key}"
    if (folder / "config.json").is_file():
        return folder
    with needs_extra("gem"):
        from models.encoder.export import write_encoder
        from models.encoder.safetensors_folder import CheckpointError
        from models.encoder.tower_checkpoint import read_tower

        try:
            state, config, trained = read_tower(checkpoint)
        except CheckpointError as missing:
            raise ServiceMissing(str(missing)) from missing
        write_encoder(folder, state, config, name=f"ecg-coca of {checkpoint.name}", trained=trained)
    return folder


def load_reader(folder: str | None, measured: bool) -> Reader:
    """The writer of interpretations: GEM of a folder, else the shipped GEM, else rule-based reports with the reason.

    Parameters
    ----------
    folder : str or None
        ``--model``: a checkpoint that must exist.
    measured : bool
        Use rule-based reports alone (``--measured``).

    Raises
    ------
    ServiceMissing
        A checkpoint named by ``--model`` or by the settings cannot be loaded, or the device asked for is missing.
    """
    from agents.interpreter.gem_reader import load_gem
    from agents.settings import Settings
    from deploy.fold import fold_asked
    from models.gem.errors import GemUnavailable

    fold = fold_asked()
    settings = Settings() if folder is None else Settings(model=Path(folder))
    if measured or not settings.gem:
        return partial(_rule_based, reason="asked for" if measured else "GEM is switched off", fold=fold)
    try:
        with needs_extra("gem"):
            gem = load_gem(settings)
    except (GemUnavailable, ServiceMissing) as missing:
        if settings.model is not None or settings.device == "cuda":
            raise ServiceMissing(str(missing)) from missing
        return partial(_rule_based, reason=str(missing), fold=fold)
    return partial(_read_by_gem, gem=gem, settings=settings, fold=fold)


def _rule_based(window: Ecg, given: Sequence[Evidence], code: str, reason: str, fold: str | None) -> Draft:
    from models.grounding.draft import Draft
    from models.grounding.segment_measurements import measure_segment

    return Draft(measured=measure_segment(window, fold=fold), given=given, code=code, reason=reason)


def _read_by_gem(
    window: Ecg, given: Sequence[Evidence], code: str, gem: GemReader, settings: Settings, fold: str | None
) -> Draft:
    """Draft of an interpretation by GEM, as in the interpreter worker."""
    from models.gem.errors import GemUnavailable
    from models.grounding.draft import Draft
    from models.grounding.gem_scope import reason_against_gem
    from models.grounding.segment_measurements import measure_segment
    from models.leads import independent_leads
    from models.signal.derived_leads import with_derived_leads

    leads = independent_leads(window.leads)
    if leads < gem.independent_leads:
        reason = f"GEM needs {gem.independent_leads} independent leads, the record has {leads}"
        return _rule_based(window, given, code, reason, fold)
    window = with_derived_leads(window)
    draft = Draft(measured=measure_segment(window, fold=fold), given=given, code=code)
    reason = reason_against_gem(draft.measured, code)
    if reason:
        return draft.rule_based(reason)
    asked = gem.read(
        window,
        given,
        draft.measured,
        deadline_s=settings.gem_deadline_s,
        priority="PM",
        tokens=settings.gem_tokens,
        code=code,
    )
    try:
        text, seconds = asyncio.run(asked)
    except GemUnavailable as missing:
        return draft.rule_based(str(missing))
    return replace(draft, text=text, model=gem.identity, seconds=seconds)
