"""Layers of `agents/`: worker ← lifecycle ← monitor, interpreter, publisher; `run` is the composition root."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

AGENTS = Path(__file__).resolve().parents[2] / "agents"
MAY_IMPORT: dict[str, set[str]] = {
    "worker": set(),
    "lifecycle": {"worker"},
    "monitor": {"worker", "lifecycle"},
    "interpreter": {"worker", "lifecycle"},
    "publisher": {"worker", "lifecycle"},
}


def imported_packages(path: Path) -> set[str]:
    """Subpackages of `agents` that a file imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    parts = [name.split(".") for name in names if name.startswith("agents.")]
    return {part[1] for part in parts if part[1] in MAY_IMPORT}


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_the_layers_below_it(package: str) -> None:
    for path in sorted((AGENTS / package).rglob("*.py")):
        upward = imported_packages(path) - MAY_IMPORT[package] - {package}
        assert not upward, f"agents/{path.relative_to(AGENTS)} imports agents.{', agents.'.join(sorted(upward))}"


@pytest.mark.parametrize("module", ["clock.py", "metrics.py", "settings.py"])
def test_modules_that_all_packages_share_import_none_of_them(module: str) -> None:
    assert not imported_packages(AGENTS / module)


def test_every_package_of_agents_has_its_layer() -> None:
    packages = {path.parent.name for path in AGENTS.glob("*/__init__.py")}
    assert packages == set(MAY_IMPORT)
