"""A small folder in GEM's published layout, made from real recordings: records, pages, conversations, questions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.corpus.datasets import CorpusRecord
from models.training.knowledge_guided import write_layout

SUPERCLASSES = {"NORM": "NORM", "MI": "MI", "STTC": "STTC", "CD": "CD"}


@dataclass(frozen=True)
class PublishedFolder:
    """The root, and the question file of each task."""

    root: Path
    questions: dict[str, Path]


def make_folder(root: Path, records: Sequence[CorpusRecord]) -> PublishedFolder:
    """Write the layout and one question file a task, over all records."""
    write_layout(records, root, seed=1)
    written = [*root.glob("ecg_grounding_test_data/*.json"), *root.glob("ecg_jsons/*.json")]
    entries = {e["id"]: e for path in written for e in json.loads(path.read_text())}
    labels = {r.key: [n for k, n in SUPERCLASSES.items() if r.labels.get(k)] for r in records}

    def conversation(key: str, question: str, answer: Any, *, number: str = "id") -> dict[str, Any]:
        entry = entries[key]
        asked: Any = f"<image>\n{question}"
        if number == "question_id":
            asked = list(asked)  # published ECG-QA questions are lists of characters
        turns = [{"from": "human", "value": asked}, {"from": "gpt", "value": answer}]
        return {number: key, "ecg": entry["ecg"], "image": entry["image"], "conversations": turns}

    superclass = "Which of NORM, MI, STTC, CD and HYP does this ECG show?"
    letters = "What does the ECG show? A. Sinus rhythm B. Atrial fibrillation. Answer with a letter."
    options = (
        "Is there a sinus rhythm? Options: yes, no, not sure. "
        "Only answer based on the given Options without any explanation."
    )
    tasks = {
        "ptb-test": [conversation(k, superclass, ", ".join(labels[k])) for k in entries],
        "cpsc-test": [conversation(k, "Which of NORM, AF, RBBB?", "NORM", number="No") for k in entries],
        "code15-test": [conversation(k, "NORM or ABNORMAL?", "Answer: NORM") for k in entries],
        "csn-test-no-cot": [conversation(k, letters, "A") for k in entries],
        "ecgqa-test": [conversation(k, options, "yes", number="question_id") for k in entries],
        "ptb-test-report": [
            conversation(k, "Write a report.", entries[k]["conversations"][1]["value"]) for k in entries
        ],
        "ecg-arena": [conversation(k, "Is the rate normal?", "The heart rate is 70 bpm.") for k in entries],
        "grounding": list(entries.values()),
    }
    out = {}
    for name, rows in tasks.items():
        out[name] = root / "ecg_bench" / "jsons" / f"{name}.json"
        out[name].write_text(json.dumps(rows))
    return PublishedFolder(root, out)
