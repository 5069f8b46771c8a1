"""Parts of the installation, their licences, and advisories about the lock."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from deploy.supply_chain import main, parts, pins, sbom
from models.networks.shipped_files import shipped_digests

ROOT = Path(__file__).resolve().parents[2]


def test_the_document_names_every_part_once_with_version_licence_and_dependencies(tmp_path: Path) -> None:
    assert main(["sbom", "--out", str(tmp_path / "sbom.json")]) == 0
    document = json.loads((tmp_path / "sbom.json").read_text())
    assert (document["bomFormat"], document["specVersion"], document["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", document["serialNumber"])
    assert document["metadata"]["component"]["name"] == "gem-bedside"
    libraries = {c["name"].lower(): c for c in document["components"] if c["type"] == "library"}
    assert {"numpy", "faust-streaming", "redis", "pydantic-core", "onnxruntime"} <= {
        name.replace("_", "-") for name in libraries
    }
    assert not {"pytest", "ruff", "mypy"} & set(libraries)  # of the developers alone
    for part in libraries.values():
        assert part["purl"].startswith("pkg:pypi/") and part["version"] in part["purl"].replace("%2B", "+")
        assert part["licenses"][0]["license"]["name"]
    refs = [c["bom-ref"] for c in document["components"]]
    assert len(refs) == len(set(refs))
    known = {*refs, document["metadata"]["component"]["bom-ref"]}
    assert all(d["ref"] in known and set(d["dependsOn"]) <= known for d in document["dependencies"])
    weights = {c["name"]: c["hashes"][0]["content"] for c in document["components"] if c["type"].startswith("machine")}
    assert weights == {f"models/weights/{name}": digest for name, digest in shipped_digests().items()}


def test_one_installation_gives_one_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1764200000")
    assert sbom(parts(), {"a": "0"}) == sbom(parts(), {"a": "0"})
    assert sbom(parts(), {"a": "0"})["serialNumber"] != sbom(parts(), {"a": "1"})["serialNumber"]


def test_every_part_has_a_licence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["licences"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 40
    assert [line for line in lines if line.endswith("unknown")] == []


def advisory(name: str, **affected: Any) -> dict[str, Any]:
    return {"id": "GHSA-1", "affected": [{"package": {"ecosystem": "PyPI", "name": name}} | affected]}


def ranges(*events: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"type": "ECOSYSTEM", "events": [{kind: version} for kind, version in events]}]


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (advisory("Some.Package", versions=["1.4.0"]), 1),
        (advisory("some-package", versions=["1.4"]), 1),
        (advisory("some-package", versions=["1.3"]), 0),
        (advisory("some-package", ranges=ranges(("introduced", "0"), ("fixed", "1.4.1"))), 1),
        (advisory("some-package", ranges=ranges(("introduced", "0"), ("fixed", "1.4.0"))), 0),
        (advisory("some-package", ranges=ranges(("introduced", "1.0"), ("fixed", "1.2"), ("introduced", "1.4"))), 1),
        (advisory("some-package", ranges=ranges(("introduced", "1.0"), ("last_affected", "1.4.0"))), 1),
        (advisory("some-package", ranges=ranges(("introduced", "1.5"))), 0),
        (advisory("local", versions=["2.13.0"]), 1),  # the pin is 2.13.0+cpu
        (advisory("another", versions=["1.4.0"]), 0),
        (advisory("some-package", versions=["1.4.0"]) | {"withdrawn": "2026-01-01T00:00:00Z"}, 0),
        ({"id": "X", "affected": [{"package": {"ecosystem": "npm", "name": "local"}, "versions": ["2.13.0"]}]}, 0),
    ],
)  # fmt: skip
def test_an_advisory_concerns_the_pins_it_names(
    found: dict[str, Any], status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock, folder = tmp_path / "lock", tmp_path / "advisories"
    lock.write_text("some_package==1.4.0\nlocal==2.13.0+cpu ; python_version > '3'\n")
    folder.mkdir()
    (folder / "one.json").write_text(json.dumps(found))
    (folder / "list.json").write_text(json.dumps([advisory("nothing", versions=["1"])]))
    assert main(["advisories", str(folder), "--lock", str(lock)]) == status
    assert ("GHSA-1" in capsys.readouterr().out) == bool(status)


def test_the_lock_pins_every_line() -> None:
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if line and line[0] not in "#-"]
    assert len(pins(ROOT / "requirements.lock")) == len(lines)
