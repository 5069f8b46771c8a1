"""Digests of the weights that ship with the package: a file that is another one, or is not listed, is not loaded.

``models/weights/digests.json`` holds the SHA-256 of each file under ``models/weights``. Every loader calls
`check_shipped`; paths outside that folder (a site's own checkpoint) are checked by the ``weights`` of their own
``config.json`` instead (`models.encoder.weights_digest`).

``python -m models.networks.shipped_files`` writes the manifest after a training.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path

WEIGHTS = Path(__file__).resolve().parent.parent / "weights"
MANIFEST = WEIGHTS / "digests.json"
SUFFIXES = (".onnx", ".npz", ".safetensors", ".model", ".json")


class WrongDigest(ValueError):  # noqa: N818  (a finding)
    """A shipped file is not the one that the manifest lists."""


def check_shipped(path: Path | str) -> None:
    """Raise `WrongDigest` for a file under ``models/weights`` that the manifest does not list, or lists otherwise."""
    place = Path(path).resolve()
    if not place.is_relative_to(WEIGHTS):
        return
    about = place.stat()
    found = _digest(place, about.st_mtime_ns, about.st_size)
    name = place.relative_to(WEIGHTS).as_posix()
    expected = _manifest(MANIFEST.stat().st_mtime_ns).get(name)
    if found != expected:
        raise WrongDigest(
            f"models/weights/{name} is not the file of this release: its SHA-256 is {found}, digests.json "
            f"{'does not list it' if expected is None else f'says {expected}'}; install the package again, or after a "
            "training run `python -m models.networks.shipped_files`"
        )


def shipped_digests() -> dict[str, str]:
    """SHA-256 of each file as it is now, by its path under ``models/weights``."""
    files = (path for path in WEIGHTS.rglob("*") if path.suffix in SUFFIXES and path != MANIFEST)
    return {path.relative_to(WEIGHTS).as_posix(): _sha256(path) for path in sorted(files)}


@lru_cache(maxsize=256)
def _digest(path: Path, _changed_ns: int, _size: int) -> str:
    return _sha256(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=2)
def _manifest(_changed_ns: int) -> dict[str, str]:
    found: dict[str, str] = json.loads(MANIFEST.read_text())
    return found


if __name__ == "__main__":
    MANIFEST.write_text(json.dumps(shipped_digests(), indent=1) + "\n")
