"""The published JSON Schemas, written from the document classes: ``python -m streams.schemas docs/schemas``.

The schemas describe written documents (serialisation): every field is present, unknown values are null.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from streams.alert import Alert, InterpretationMessage
from streams.bed import Action, Bed, Vitals
from streams.document import Document

DOCUMENTS: dict[str, type[Document]] = {
    "alert": Alert,
    "bed": Bed,
    "vitals": Vitals,
    "action": Action,
    "interpretation": InterpretationMessage,
}
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_of(name: str) -> dict[str, Any]:
    """JSON Schema of one document; that of actions describes accepted input, the others written output."""
    mode = "validation" if name == "action" else "serialization"
    schema = DOCUMENTS[name].model_json_schema(by_alias=True, mode=mode)  # type: ignore[arg-type]
    return {"$schema": DIALECT, "$id": f"gem-bedside/{name}-1.json", **schema}


def written(name: str) -> str:
    """Content of a schema file."""
    return json.dumps(schema_of(name), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main(folder: str) -> None:
    """Write one file for each document."""
    for name in DOCUMENTS:
        path = Path(folder) / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(written(name), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main(*sys.argv[1:] or ["docs/schemas"])
