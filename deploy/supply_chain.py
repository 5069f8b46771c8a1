"""Supply chain of an installation: its parts as a CycloneDX document, their licences, and known advisories about them.

    python -m deploy.supply_chain sbom [--out FILE]             CycloneDX 1.6, JSON
    python -m deploy.supply_chain licences                      a table: package, version, licence
    python -m deploy.supply_chain advisories FILE… [--lock F]   exit status 1 where an advisory concerns a pin

No network is used. The parts are what is installed here of the packages that gem-bedside requires, with what those
require, and the shipped weights with their SHA-256. Advisories are files in the OSV format: one advisory or a list a
file, or a folder of such files, for example an unpacked export of osv.dev for PyPI.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from models.networks.shipped_files import shipped_digests

NAME = "gem-bedside"
SPEC = "1.6"
LONGEST_LICENCE = 64  # characters; some packages put the whole text into the field
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)")


@dataclass(frozen=True)
class Part:
    """One installed package, and the names of those that it requires and that are installed."""

    name: str
    version: str
    licence: str
    requires: tuple[str, ...]

    @property
    def purl(self) -> str:
        """Package URL."""
        return f"pkg:pypi/{_key(self.name)}@{self.version.replace('+', '%2B')}"


def parts(root: str = NAME) -> list[Part]:
    """The installed packages that ``root`` requires, directly or not, with its extras; by name."""
    found: dict[str, Part] = {}
    waiting = [(_key(root), frozenset({"cpu", "gpu", "gem", "demo", "records"}))]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        installed = _installed(name)
        if installed is None:
            continue
        wanted = list(_requirements(installed, extras))
        here = tuple(sorted({child for child, _ in wanted if _installed(child) is not None}))
        known = found.get(name)
        requires = here if known is None else tuple(sorted({*known.requires, *here}))
        found[name] = Part(installed.metadata["Name"], installed.version, licence_of(installed), requires)
        for child in wanted:
            if child not in seen:
                seen.add(child)
                waiting.append(child)
    return sorted(found.values(), key=lambda part: _key(part.name))


def sbom(found: list[Part], weights: dict[str, str]) -> dict[str, Any]:
    """A CycloneDX document of packages and weights; the same installation gives the same document."""
    root = next(part for part in found if _key(part.name) == NAME)
    others = [part for part in found if part is not root]
    by_name = {_key(part.name): part for part in found}
    stamp = os.environ.get("SOURCE_DATE_EPOCH")
    at = datetime.fromtimestamp(int(stamp), UTC) if stamp else datetime.now(UTC)
    models = [
        {
            "type": "machine-learning-model",
            "bom-ref": f"weights/{name}",
            "name": f"models/weights/{name}",
            "hashes": [{"alg": "SHA-256", "content": digest}],
        }
        for name, digest in weights.items()
    ]
    identity = json.dumps([[part.purl for part in found], weights], sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, identity)}",
        "version": 1,
        "metadata": {
            "timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tools": {"components": [{"type": "application", "name": "deploy.supply_chain", "version": root.version}]},
            "component": {"type": "application"} | _component(root),
        },
        "components": [{"type": "library"} | _component(part) for part in others] + models,
        "dependencies": [
            {"ref": part.purl, "dependsOn": [by_name[name].purl for name in part.requires if name in by_name]}
            for part in found
        ],
    }


def licence_of(installed: Distribution) -> str:
    """Licence of a package: its SPDX expression, else its classifiers, else the first line of its field."""
    about: Any = installed.metadata
    if about.get("License-Expression"):
        return str(about["License-Expression"])
    classifiers = [str(line) for line in about.get_all("Classifier") or [] if str(line).startswith("License ::")]
    named = [line.rpartition(" :: ")[2] for line in classifiers if not line.endswith("OSI Approved")]
    first = str(about.get("License") or "").strip().split("\n")[0][:LONGEST_LICENCE]
    return " AND ".join(named) or first or "unknown"


def concerned(lock: dict[str, Version], advisories: Iterable[dict[str, Any]]) -> Iterator[tuple[str, str, Version]]:
    """Id of each advisory that concerns a pin, with the package and its version."""
    for advisory in advisories:
        if advisory.get("withdrawn"):
            continue
        for affected in advisory.get("affected", []):
            package = affected.get("package", {})
            name = _key(str(package.get("name", "")))
            if package.get("ecosystem") == "PyPI" and name in lock and _affects(affected, lock[name]):
                yield str(advisory["id"]), name, lock[name]
                break


def pins(lock: Path) -> dict[str, Version]:
    """Name to version of each line of a lock file; local versions (``+cpu``) count as the public one."""
    found: dict[str, Version] = {}
    for line in lock.read_text().splitlines():
        if match := PIN.match(line):
            found[_key(match[1])] = Version(Version(match[2]).public)
    return found


def read_advisories(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """The advisories of files and folders."""
    for path in paths:
        for file in sorted(path.rglob("*.json")) if path.is_dir() else [path]:
            found = json.loads(file.read_text())
            yield from found if isinstance(found, list) else [found]


def _affects(affected: dict[str, Any], version: Version) -> bool:
    if any(_same(listed, version) for listed in affected.get("versions", [])):
        return True
    return any(
        _in_range(span.get("events", []), version)
        for span in affected.get("ranges", [])
        if span.get("type") == "ECOSYSTEM"
    )


def _in_range(events: list[dict[str, str]], version: Version) -> bool:
    """Events in order: a version is affected from ``introduced`` until ``fixed``, or through ``last_affected``."""
    inside = False
    for event in events:
        try:
            if "introduced" in event:
                inside = inside or event["introduced"] == "0" or version >= Version(event["introduced"])
            elif "fixed" in event:
                inside = inside and version < Version(event["fixed"])
            elif "last_affected" in event:
                inside = inside and version <= Version(event["last_affected"])
        except InvalidVersion:
            return True  # a version that nobody can compare is looked at by a person
    return inside


def _same(listed: str, version: Version) -> bool:
    try:
        return Version(listed) == version
    except InvalidVersion:
        return listed == str(version)


def _key(name: str) -> str:
    """A name as registries compare it."""
    return str(canonicalize_name(name))


@lru_cache(maxsize=1024)
def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _requirements(installed: Distribution, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    for line in installed.requires or []:
        wanted = Requirement(line)
        marker = wanted.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in (extras or {""})):
            yield _key(wanted.name), frozenset(wanted.extras)


def _component(part: Part) -> dict[str, Any]:
    return {
        "bom-ref": part.purl,
        "name": part.name,
        "version": part.version,
        "purl": part.purl,
        "licenses": [{"license": {"name": part.licence}}],
    }


def main(arguments: list[str] | None = None) -> int:
    """Command line; its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("sbom").add_argument("--out", type=Path)
    commands.add_parser("licences")
    check = commands.add_parser("advisories")
    check.add_argument("files", nargs="+", type=Path)
    check.add_argument("--lock", type=Path, default=Path("requirements.lock"))
    asked = parser.parse_args(arguments)
    if asked.command == "advisories":
        found = sorted(set(concerned(pins(asked.lock), read_advisories(asked.files))))
        for identity, name, version in found:
            print(f"{identity}  {name} {version}")
        return 1 if found else 0
    installed = parts()
    if asked.command == "licences":
        for part in installed:
            print(f"{part.name:28} {part.version:18} {part.licence}")
        return 0
    text = json.dumps(sbom(installed, shipped_digests()), indent=1) + "\n"
    if asked.out is None:
        sys.stdout.write(text)
    else:
        asked.out.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
