"""The folder layout of GEM's published data: where ECGs, images and conversation files lie, and what is missing.

``ROOT/ecg_timeseries/{ptbxl,mimic-iv,code15,cpsc2018,champan-shaoxing,georgia}`` WFDB records;
``ROOT/ecg_images/…`` pages; ``ROOT/ecg_bench/{images,jsons}`` questions of ECG-Bench; ``ROOT/ecg_jsons/*.json``
training conversations; ``ROOT/ecg_grounding_test_data/*.json`` questions of Grounded ECG Understanding. (The spelling
``champan-shaoxing`` is the published one.)

``python -m models.corpus.published_layout ROOT`` prints which parts are there and which files of the conversations
are missing.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.corpus.conversation_files import Conversation, read_conversations
from models.ecg import Ecg
from models.records import read_record

TIMESERIES = ("ptbxl", "mimic-iv", "code15", "cpsc2018", "champan-shaoxing", "georgia")
PARTS = (*(f"ecg_timeseries/{name}" for name in TIMESERIES), "ecg_images", "ecg_bench", "ecg_jsons")
_ECG_ROOTS = ("ecg_timeseries", "")
_IMAGE_ROOTS = ("ecg_images", "ecg_bench/images", "ecg_bench", "")


class MissingFileError(FileNotFoundError):
    """A conversation names a file that is not there."""


@dataclass(frozen=True, slots=True)
class PublishedLayout:
    """A root folder in the published layout.

    Attributes
    ----------
    root : Path
    """

    root: Path

    def missing_parts(self) -> list[str]:
        """Folders of the layout that are not there."""
        return [part for part in PARTS if not (self.root / part).is_dir()]

    def ecg_path(self, conversation: Conversation) -> Path | None:
        """WFDB record of a conversation, without extension; None where it names none.

        Raises
        ------
        MissingFileError
            It names one that is not there.
        """
        name = conversation.ecg
        return None if name is None else self._found(name, _ECG_ROOTS, (".hea",), f"ECG of {conversation.id}")

    def image_path(self, conversation: Conversation) -> Path | None:
        """Page of a conversation; None where it names none. Raises as `ecg_path`."""
        name = conversation.image
        return None if name is None else self._found(name, _IMAGE_ROOTS, ("",), f"image of {conversation.id}")

    def ecg(self, conversation: Conversation) -> Ecg | None:
        """Signal of a conversation; samples that are missing are NaN."""
        path = self.ecg_path(conversation)
        return None if path is None else read_record(path)

    def _found(self, name: str, roots: Iterable[str], suffixes: tuple[str, ...], subject: str) -> Path:
        relative = Path(name)
        if relative.is_absolute() or ".." in relative.parts:
            raise MissingFileError(f"{subject}: {name!r} leads out of the data folder")
        for root in roots:
            path = self.root / root / relative
            if any(path.with_name(path.name + suffix).is_file() for suffix in suffixes):
                return path
        looked = ", ".join(str(Path(root) / relative) for root in roots)
        raise MissingFileError(f"{subject}: none of {looked} in {self.root}")


def check(layout: PublishedLayout, conversations: Iterable[Conversation]) -> Counter[str]:
    """Counts of ``ecg``, ``image`` found, and ``ecg missing``, ``image missing``, ``without ecg``."""
    count: Counter[str] = Counter()
    for conversation in conversations:
        for kind, find in (("ecg", layout.ecg_path), ("image", layout.image_path)):
            try:
                count[kind if find(conversation) is not None else f"without {kind}"] += 1
            except MissingFileError:
                count[f"{kind} missing"] += 1
    return count


def blank_ecg(fs_hz: float = 500.0, seconds: float = 10.0) -> Ecg:
    """A flat twelve-lead signal, for questions that have an image alone."""
    from models.leads import STANDARD_12

    return Ecg(STANDARD_12, fs_hz, np.zeros((12, round(fs_hz * seconds)), np.float32))


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit status 1 where a part or a file is missing."""
    parser = argparse.ArgumentParser(
        prog="python -m models.corpus.published_layout", description="Check a data folder in GEM's published layout."
    )
    parser.add_argument("root", type=Path)
    options = parser.parse_args(argv)
    layout = PublishedLayout(options.root)
    missing = layout.missing_parts()
    for part in PARTS:
        print(f"{'missing' if part in missing else 'found':8} {part}")
    complete = not missing
    folders = ("ecg_jsons", "ecg_bench/jsons", "ecg_grounding_test_data")
    for path in sorted(p for folder in folders for p in (options.root / folder).glob("**/*.json*")):
        count = check(layout, read_conversations(path))
        complete &= not any(kind.endswith("missing") for kind in count)
        print(f"{path.relative_to(options.root)}: " + ", ".join(f"{n} {kind}" for kind, n in sorted(count.items())))
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
