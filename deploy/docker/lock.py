"""Writes the locks of the images, ``locks/<variant>.txt``: exact versions of what each extra needs, and nothing else.

pip resolves each variant under the versions of requirements.lock, so that an image holds what the tests ran with.

    python deploy/docker/lock.py [VARIANT…]
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCKS = Path(__file__).resolve().parent / "locks"
VARIANTS = {"cpu": "cpu", "gpu": "gpu", "gem": "gpu,gem", "tools": "cpu,records"}
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
        found = [item["metadata"] for item in json.loads(report.read_text())["install"]]
    # "+cpu" and the like name a build of one index; the public version is what the images install.
    lines = sorted(f"{item['name']}=={item['version'].partition('+')[0]}" for item in found)
    left_out = ("gem-bedside==", "nvidia-") if variant == "gem" else ("gem-bedside==",)  # build.sh says why
    return HEAD + "\n".join(line for line in lines if not line.startswith(left_out)) + "\n"


if __name__ == "__main__":
    for name in sys.argv[1:] or VARIANTS:
        (LOCKS / f"{name}.txt").write_text(lock(name))
