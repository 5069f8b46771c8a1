"""The digest of a checkpoint's weights, which the provenance names and by which a corrupt file is found. No torch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from models.networks.shipped_files import check_shipped


def file_digest(path: Path) -> str:
    """``sha256:…`` of one file."""
    return f"sha256:{_hex_digest(path)}"


def weights_digest(folder: Path | str) -> str:
    """``sha256:…`` of a folder's weights: the digest of the one file, or of the shards' ``sha256sum`` lines by name."""
    files = sorted(Path(folder).glob("*.safetensors"))
    if not files:
        raise FileNotFoundError(f"{folder} holds no .safetensors file")
    digests = [_hex_digest(path) for path in files]
    if len(files) == 1:
        return f"sha256:{digests[0]}"
    lines = "".join(f"{digest}  {path.name}\n" for digest, path in zip(digests, files, strict=True))
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


def checked_digest(folder: Path) -> str:
    """The digest of a folder's weights; ValueError where its ``config.json`` names another (``weights``)."""
    for file in sorted(folder.glob("*.safetensors")):
        check_shipped(file)
    found = weights_digest(folder)
    path = folder / "config.json"
    expected = json.loads(path.read_text()).get("weights") if path.is_file() else None
    if expected is not None and expected != found:
        raise ValueError(
            f"the weights in {folder} are corrupt or another model's: their digest is {found}, "
            f"config.json says {expected}; copy the folder again"
        )
    return found


def _hex_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
