"""Writes the locks of the images, ``locks/<variant>.txt``: exact versions of what each extra needs, and nothing else.

pip resolves each variant under the versions of requirements.lock, so that an image holds what the tests ran with. The
lines of `HASHED` variants carry the SHA-256 of the wheel for Python 3.11 on x86-64 Linux: a registry or mirror that
gives another file is rejected. The CUDA variants have none, because their wheels are those of the site's own index.

    python deploy/docker/lock.py [VARIANT…]
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LOCKS = Path(__file__).resolve().parent / "locks"
VARIANTS = {"cpu": "cpu", "gpu": "gpu", "gem": "gpu,gem", "tools": "cpu,records"}
HASHED = ("cpu", "tools")
HEAD = "# Made by `python deploy/docker/lock.py`; installed by build.sh without dependencies.\n"


def lock(variant: str) -> str:
    """The lock of a variant."""
    with tempfile.TemporaryDirectory() as folder:
        constraints, report = Path(folder) / "constraints.txt", Path(folder) / "report.json"
        tested = (ROOT / "requirements.lock").read_text()
        constraints.write_text(re.sub(r"^(onnxruntime)==.*\n", "", tested, flags=re.MULTILINE))
        command = [
            sys.executable, "-m", "pip", "install", "-qq", "--dry-run", "--ignore-installed",
            "--constraint", str(constraints), "--report", str(report), f"{ROOT}[{VARIANTS[variant]}]",
        ]  # fmt: skip
        if variant in ("cpu", "tools"):
            constraints.write_text(tested)
        subprocess.run(command, check=True)
        found = json.loads(report.read_text())["install"]
    lines = sorted(_line(item, variant in HASHED) for item in found)
    left_out = ("gem-bedside==", "nvidia-") if variant == "gem" else ("gem-bedside==",)  # build.sh says why
    return HEAD + "\n".join(line for line in lines if not line.startswith(left_out)) + "\n"


def _line(item: dict[str, Any], hashed: bool) -> str:
    """One line of a lock out of pip's report."""
    # "+cpu" and the like name a build of one index; the public version is what the images install.
    pin = f"{item['metadata']['name']}=={item['metadata']['version'].partition('+')[0]}"
    digest = item.get("download_info", {}).get("archive_info", {}).get("hashes", {}).get("sha256")
    return f"{pin} --hash=sha256:{digest}" if hashed and digest else pin


if __name__ == "__main__":
    for name in sys.argv[1:] or VARIANTS:
        (LOCKS / f"{name}.txt").write_text(lock(name))
