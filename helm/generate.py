"""Writes the parts of the chart that are made from other files; ``--check`` only compares them (exit status 1).

========================== ==========================================================
file of the chart          made from
========================== ==========================================================
`README.md`                the comments ``# -- …`` and the defaults of `values.yaml`
`files/settings.txt`       `agents/settings.py`: the settings that the chart accepts
`files/rules.yaml`         `deploy/prometheus/rules.yaml`
`files/dashboards/*.json`  `deploy/grafana/*.json`
========================== ==========================================================

    python helm/generate.py [--check]
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "helm" / "gem-bedside"
_KEY = re.compile(r"^(?P<indent> *)(?P<key>[\w-]+|\"[^\"]+\"):(?: +(?P<value>.*))?$")
_LONGEST = 80  # characters of a default in the table

HEAD = """# gem-bedside

Helm chart of GEM Bedside: three workers (monitor, interpreter, publisher) and the nurse station, for an existing Kafka
and Redis. docs/operate.md of the project describes the operation. This page is made from `values.yaml`
(`python helm/generate.py`).

```
helm install w helm/gem-bedside -n ward --create-namespace -f helm/gem-bedside/scenarios/small-ward.yaml --wait
helm test w -n ward
```

| scenario | for |
|---|---|
| [scenarios/small-ward.yaml](scenarios/small-ward.yaml) | one zone, plain services, no operator |
| [scenarios/hospital.yaml](scenarios/hospital.yaml) | SASL, TLS, ACL, the 7-B GEM on a GPU, KEDA, Prometheus operator |
| [scenarios/air-gapped.yaml](scenarios/air-gapped.yaml) | a mirror, digests of images and weights, named egress |

Runs in a namespace with Pod Security `restricted`. Unknown keys and values out of range are refused by name.

## Values

| key | default | meaning |
|---|---|---|
"""


def values_table(text: str) -> Iterator[tuple[str, str, str]]:
    """Key, default and meaning of each documented value of `values.yaml`."""
    import yaml

    values = yaml.safe_load(text)
    path: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("# -- "):
            comment = [stripped[5:]]
            continue
        if stripped.startswith("#") and comment:
            comment.append(stripped[1:].strip())
            continue
        found = _KEY.match(line)
        if found is None:
            continue
        indent = len(found["indent"])
        path = [(depth, key) for depth, key in path if depth < indent] + [(indent, found["key"])]
        if comment:
            keys = [key for _, key in path]
            value = values
            for key in keys:
                value = value[key]
            default = json.dumps(value, ensure_ascii=False)
            yield ".".join(keys), default if len(default) <= _LONGEST else "see values.yaml", " ".join(comment)
        comment = []


def readme() -> str:
    """README.md of the chart."""
    rows = values_table((CHART / "values.yaml").read_text())
    table = [f"| `{key}` | `{default}` | {meaning} |" for key, default, meaning in rows]
    return HEAD + "\n".join(row.replace("\\|", "|") for row in table) + "\n"


def settings() -> str:
    """Names of all settings, one a line."""
    from agents.settings import Settings

    return "\n".join(sorted(name.upper() for name in Settings.model_fields)) + "\n"


def files() -> dict[Path, str]:
    """Content of each generated file."""
    made = {
        CHART / "README.md": readme(),
        CHART / "files" / "settings.txt": settings(),
        CHART / "files" / "rules.yaml": (ROOT / "deploy/prometheus/rules.yaml").read_text(),
    }
    for dashboard in sorted((ROOT / "deploy" / "grafana").glob("*.json")):
        made[CHART / "files" / "dashboards" / dashboard.name] = dashboard.read_text()
    return made


def main(arguments: list[str]) -> int:
    """Write or compare; exit status."""
    made = files()
    old = set((CHART / "files" / "dashboards").glob("*")) - set(made)
    stale = [path for path, text in made.items() if not path.is_file() or path.read_text() != text]
    if "--check" in arguments:
        for path in (*stale, *old):
            print(f"{path.relative_to(ROOT)} is not what `python helm/generate.py` writes")
        return 1 if stale or old else 0
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for path in old:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main(sys.argv[1:]))
