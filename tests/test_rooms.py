"""The arrows between the rooms: what each may import, and what the run-time without torch may not."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("models", "streams", "agents", "station", "deploy", "verification")
LIGHT = {"models.ecg", "models.leads", "models.records"}
MAY_IMPORT = {
    "models": set(),
    "streams": set(),
    "agents": {"streams", "models", "verification"},
    "station": {"streams"},
    "deploy": {"streams", "models", "agents", "station", "verification"},
    "verification": set(),
}
NETWORK = {"kafka", "aiokafka", "faust", "redis", "starlette", "uvicorn"}
TRAINING = {"torch", "transformers", "safetensors", "onnx"}
MAY_NEED_TORCH = (
    "models/encoder/tower.py",
    "models/encoder/coca.py",
    "models/encoder/export.py",
    "models/encoder/import_checkpoint.py",
    "models/gem/",
    "models/training/",
    "models/evaluation/",
    "benchmarks/",
    "tests/",
)


def modules(room: str) -> list[Path]:
    return [p for p in sorted((ROOT / room).rglob("*.py")) if not p.name.endswith("_pb2.py")]


def imported(path: Path, *, top_level_only: bool = False) -> set[str]:
    """Full names of the modules that a file imports; only those of the module's own body when asked."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else ast.walk(tree)
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_each_room_imports_only_what_it_may(room: str) -> None:
    for path in modules(room):
        for name in imported(path):
            top = name.split(".")[0]
            if top not in ROOMS or top == room or top in MAY_IMPORT[room]:
                continue
            light = any(name == m or name.startswith(f"{m}.") for m in LIGHT)
            assert room in ("streams", "station") and light, f"{path.relative_to(ROOT)} imports {name}"


def test_the_verifier_shares_no_code_with_the_product() -> None:
    """It needs numpy, scipy and wfdb alone, has at most 400 lines of code, and two files alone import it."""
    outside = {name.split(".")[0] for path in modules("verification") for name in imported(path)}
    assert outside - set(sys.stdlib_module_names) == {"numpy", "scipy", "wfdb", "verification"}
    users = {str(p.relative_to(ROOT)) for room in ROOMS for p in modules(room) if room != "verification"} & {
        str(p.relative_to(ROOT))
        for room in ROOMS
        for p in modules(room)
        if any(name.split(".")[0] == "verification" for name in imported(p))
    }
    assert users == {"deploy/commands/verify.py", "agents/interpreter/verified.py"}
    assert sum(lines_of_code(p) for p in modules("verification")) <= 400


def lines_of_code(path: Path) -> int:
    """Lines that are not blank, comment, docstring or import."""
    tree = ast.parse(path.read_text())
    words = set()
    for node in ast.walk(tree):
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if docstring or isinstance(node, ast.Import | ast.ImportFrom):
            assert isinstance(node, ast.stmt)
            words |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(path.read_text().splitlines(), 1)
    return sum(1 for n, line in lines if line.strip() and not line.strip().startswith("#") and n not in words)


# Inside a package a part imports only parts before it (and itself).
LAYERS = {
    "models": (
        ("leads",),
        ("ecg", "evidence", "finding_names", "normal_limits"),
        ("record_formats",),
        ("records",),
        ("signal",),
        ("networks",),
        ("beats",),
        ("measurement",),
        ("arrhythmia",),
        ("encoder",),
        ("grounding",),
        ("corpus",),
        ("gem",),
        ("evaluation",),
        ("training",),
    ),
    "agents": (
        ("allocator", "clock", "log_limit", "settings"),
        ("metrics", "logs", "probes"),
        ("worker",),
        ("lifecycle",),
        ("monitor", "interpreter", "publisher"),
        ("run",),
    ),
}


@pytest.mark.parametrize("room", LAYERS)
def test_parts_of_a_package_import_only_parts_before_them(room: str) -> None:
    rank = {part: k for k, layer in enumerate(LAYERS[room]) for part in layer}
    wrong = []
    for path in modules(room):
        inside = path.relative_to(ROOT / room).parts
        own = inside[0].removesuffix(".py")
        if own == "__init__":
            continue
        assert own in rank, f"{path.relative_to(ROOT)}: name its layer in LAYERS"
        for name in imported(path):
            top, _, rest = name.partition(".")
            part = rest.split(".")[0]
            if top == room and part in rank and part != own and rank[part] >= rank[own]:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_no_two_modules_import_each_other_however_far_round() -> None:
    """Every import counts, also one inside a function and one for type checking."""
    names = {}
    for room in ROOMS:
        for path in modules(room):
            parts = path.relative_to(ROOT).with_suffix("").parts
            names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    graph = {
        name: {
            found
            for target in imported(path)
            for found in (target, target.rpartition(".")[0])
            if found in names and found != name and not name.startswith(f"{found}.")
        }
        for name, path in names.items()
    }
    done: set[str] = set()
    for start in graph:
        stack, on_path = [(start, iter(sorted(graph[start])))], [start]
        while stack:
            name, targets = stack[-1]
            target = next((t for t in targets if t not in done), None)
            if target is None:
                done.add(name)
                stack.pop()
                on_path.pop()
                continue
            assert target not in on_path, "import circle: " + " > ".join([*on_path[on_path.index(target) :], target])
            stack.append((target, iter(sorted(graph[target]))))
            on_path.append(target)


def test_models_never_knows_the_network() -> None:
    for path in modules("models"):
        assert not {name.split(".")[0] for name in imported(path)} & NETWORK, path


def test_models_reads_no_environment_variable() -> None:
    for path in modules("models"):
        text = path.read_text()
        assert "os.environ" not in text and "getenv" not in text, path


def test_streams_never_knows_the_models_libraries() -> None:
    for path in modules("streams"):
        assert not {name.split(".")[0] for name in imported(path)} & (
            TRAINING | {"onnxruntime", "neurokit2", "scipy"}
        ), path


def test_only_the_gem_parts_import_torch_at_the_top() -> None:
    for room in ROOMS:
        for path in modules(room):
            if str(path.relative_to(ROOT)).startswith(MAY_NEED_TORCH):
                continue
            heavy = {name.split(".")[0] for name in imported(path, top_level_only=True)} & TRAINING
            assert not heavy, f"{path.relative_to(ROOT)} imports {heavy} at its top; the cpu run-time has none of them"


def test_light_modules_need_numpy_alone() -> None:
    """What the streaming rooms share with the models loads without SciPy, wfdb, ONNX Runtime or torch."""
    heavy = {"scipy", "wfdb", "onnxruntime", "torch", "edfio", "pandas"}
    code = (
        f"import sys; import models, {', '.join(sorted(LIGHT))}; "
        f"print(sorted({{m.split('.')[0] for m in sys.modules}} & {heavy!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_the_run_time_works_without_torch() -> None:
    """With torch and its kin hidden, the workers' modules load: the `cpu` extra has none of them."""
    workers = (
        "agents.monitor.service, agents.interpreter.service, agents.publisher.service, "
        "deploy.cli, station.server, models.encoder.session"
    )
    code = (
        "import sys, importlib.abc\n"
        "class Hidden(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {TRAINING!r}: raise ModuleNotFoundError(name)\n"
        f"sys.meta_path.insert(0, Hidden())\nimport {workers}\nprint('loaded')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip().endswith("loaded"), done.stderr[-2000:]


def test_files_stay_readable() -> None:
    """No file of ours is past 500 lines: that is where a second noun hides."""
    long = {
        str(p.relative_to(ROOT)): n
        for room in (*ROOMS, "tests", "benchmarks")
        for p in modules(room)
        if (n := len(p.read_text().splitlines())) > 500
    }
    assert not long
