"""Bill of materials of this environment, CycloneDX 1.5 JSON on standard output: ``sbom.py VARIANT``.

Names, versions and licences come from the installed metadata; the files are identified by the digest of their RECORD,
which has the digest of each.
"""

from __future__ import annotations

import hashlib
import json
import sys
from importlib.metadata import Distribution, distributions


def component(package: Distribution) -> dict[str, object]:
    """One package."""
    name, version = package.metadata["Name"], package.version
    record = package.read_text("RECORD") or ""
    lines = [package.metadata[key] for key in ("License-Expression", "License") if key in package.metadata]
    found = lines[0].partition("\n")[0] if lines else ""
    return {
        "type": "library",
        "bom-ref": f"pkg:pypi/{name.lower()}@{version}",
        "purl": f"pkg:pypi/{name.lower()}@{version}",
        "name": name,
        "version": version,
        "licenses": [{"license": {"name": found}}] if found else [],
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(record.encode()).hexdigest()}],
    }


def main(variant: str) -> None:
    """Print the bill."""
    packages = sorted(distributions(), key=lambda package: package.metadata["Name"].lower())
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": f"gem-bedside-{variant}"}},
        "components": [component(p) for p in packages if p.metadata["Name"] not in ("pip", "setuptools")],
    }
    json.dump(bill, sys.stdout, indent=1)


if __name__ == "__main__":
    main(sys.argv[1])
