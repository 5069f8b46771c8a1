"""Scores of generated answers: the tasks of ECG-Bench, and Grounded ECG Understanding.

In: conversations with their golden answers, the generated answers, a judge for free texts. Out: for each task one row
of scores as the published evaluation computes them (``reference``) and one as meant (``strict``), each with the number
of answers. A task is told by its file's name (``ptb-test``, ``csn-test-no-cot``, …).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.corpus.conversation_files import Conversation
from models.corpus.published_layout import PublishedLayout
from models.evaluation import ecgbench
from models.evaluation.generation import Answer, whole_lines
from models.evaluation.grounded_understanding import mean_scores, parse_judge_answer, reference_scores, strict_scores
from models.evaluation.judges import (
    ARENA_DIMENSIONS,
    REPORT_DIMENSIONS,
    Judge,
    JudgeCase,
    JudgeError,
    JudgeKind,
    parse_numbers,
)
from models.gem.special_tokens import IMAGE_MARK

Scores = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Task:
    """One task of ECG-Bench.

    Attributes
    ----------
    name : str
    kind : {"labels", "letter", "options", "report", "arena"}
    labels : str
        Key of `ecgbench.TASKS`, for ``labels``.
    """

    name: str
    kind: str
    labels: str = ""


TASKS = (
    Task("ptb-test-report", "report"),
    Task("ptb-test", "labels", "ptb"),
    Task("cpsc-test", "labels", "cpsc"),
    Task("code15-test", "labels", "code15"),
    Task("csn-test", "letter"),
    Task("g12-test", "letter"),
    Task("g12ec-test", "letter"),
    Task("mmmu-ecg", "letter"),
    Task("ecgqa-test", "options"),
    Task("arena", "arena"),
    Task("ecg-arena", "arena"),
)
"""Tasks by the beginning of the file's name; the first that fits."""


def task_of(path: Path) -> Task:
    """The task of a question file.

    Raises
    ------
    ValueError
        Its name belongs to none.
    """
    for task in TASKS:
        if path.stem.lower().startswith(task.name):
            return task
    raise ValueError(f"{path.name}: no task of ECG-Bench; names begin with {', '.join(t.name for t in TASKS)}")


@dataclass(frozen=True, slots=True)
class TaskScores:
    """Scores of one task.

    Attributes
    ----------
    task : str
    answers, errors : int
        Questions asked; of them, those that got no answer (they count as wrong).
    reference, strict : dict
        Measure to score in percent, by the published computation and as meant.
    """

    task: str
    answers: int
    errors: int
    reference: Scores
    strict: Scores

    def to_json(self) -> dict[str, Any]:
        """Fields of the table."""
        return {
            "task": self.task,
            "answers": self.answers,
            "errors": self.errors,
            "reference": self.reference,
            "strict": self.strict,
        }


def score_task(
    task: Task,
    conversations: Sequence[Conversation],
    answers: Mapping[str, Answer],
    judge: Judge,
    layout: PublishedLayout,
    judged: Path | None = None,
) -> TaskScores:
    """Scores of one task.

    Parameters
    ----------
    judge : Judge
        For free texts (``report``, ``arena``).
    judged : Path, optional
        File of the judge's answers: those that are there are not asked again.

    Raises
    ------
    ValueError
        A question has no golden answer.
    """
    golden = [_golden(c) for c in conversations]
    texts = [answers[c.id].text for c in conversations]
    if task.kind == "labels":
        reference, strict = _label_scores(task.labels, golden, texts)
    elif task.kind == "letter":
        reference = _share(ecgbench.option_letter, golden, texts)
        strict = _share(ecgbench.strict_letter, golden, texts)
    elif task.kind == "options":
        triples = [(g, c.question, t) for g, c, t in zip(golden, conversations, texts, strict=True)]
        reference = {"accuracy": _percent(ecgbench.accuracy([ecgbench.ecgqa_right(*x) for x in triples]))}
        strict = {"accuracy": _percent(ecgbench.accuracy([ecgbench.strict_ecgqa_right(*x) for x in triples]))}
    else:
        kind: JudgeKind = "report" if task.kind == "report" else "arena"
        dimensions = REPORT_DIMENSIONS if kind == "report" else ARENA_DIMENSIONS
        rows = [
            parse_numbers(text, dimensions) for text in judge_all(kind, conversations, answers, judge, layout, judged)
        ]
        reference = strict = _mean_of_ten(rows, dimensions)
    return TaskScores(task.name, len(conversations), _errors(conversations, answers), reference, strict)


def score_grounding(
    conversations: Sequence[Conversation],
    answers: Mapping[str, Answer],
    judge: Judge,
    layout: PublishedLayout,
    judged: Path | None = None,
) -> TaskScores:
    """Grounded ECG Understanding: the eight dimensions, means over records."""
    parsed = [parse_judge_answer(t) for t in judge_all("grounding", conversations, answers, judge, layout, judged)]
    errors = _errors(conversations, answers)
    reference = mean_scores(reference_scores(p) for p in parsed)
    return TaskScores("grounding", len(parsed), errors, reference, mean_scores(strict_scores(p) for p in parsed))


def judge_all(
    kind: JudgeKind,
    conversations: Sequence[Conversation],
    answers: Mapping[str, Answer],
    judge: Judge,
    layout: PublishedLayout,
    judged: Path | None = None,
) -> list[str]:
    """The judge's JSON texts in the order of the conversations; with ``judged``, resumable.

    Raises
    ------
    JudgeError
        The judge gave none.
    """
    done = _read_judged(judged, judge.name)
    out = []
    for c in conversations:
        if c.id not in done:
            ecg = layout.ecg(c) if judge.name == "code" else None
            case = JudgeCase(kind, c.question.replace(IMAGE_MARK, "").strip(), _golden(c), answers[c.id].text, ecg)
            done[c.id] = judge(case)
            if judged is not None:
                with judged.open("a", encoding="utf-8") as file:
                    row = {"id": c.id, "judge": judge.name, "scores": done[c.id]}
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
        out.append(done[c.id])
    return out


def _read_judged(path: Path | None, judge: str) -> dict[str, str]:
    rows = [] if path is None else whole_lines(path)
    others = {row["judge"] for row in rows} - {judge}
    if others:
        raise JudgeError(f"{path} holds scores of the judge {others.pop()}: remove it, or choose another folder")
    return {row["id"]: row["scores"] for row in rows}


def _errors(conversations: Sequence[Conversation], answers: Mapping[str, Answer]) -> int:
    return sum(answers[c.id].finish.startswith("error") for c in conversations)


def _golden(conversation: Conversation) -> str:
    if conversation.answer is None:
        raise ValueError(f"question {conversation.id} has no golden answer")
    return conversation.answer


def _label_scores(name: str, golden: Sequence[str], texts: Sequence[str]) -> tuple[Scores, Scores]:
    labels, find = ecgbench.TASKS[name]

    def strict(text: str) -> list[str]:
        return ecgbench.strict_labels(text.split("Answer:")[-1], labels)

    true = [strict(text) for text in golden]
    return (
        _multi_label(labels, [find(text) for text in golden], [find(text) for text in texts]),
        _multi_label(labels, true, [strict(text) for text in texts]),
    )


def _multi_label(labels: Sequence[str], true: ecgbench.LabelLists, predicted: ecgbench.LabelLists) -> Scores:
    s = ecgbench.multi_label(labels, true, predicted)
    return {"AUC": _percent(s.auc), "F1": _percent(s.f1), "HL": _percent(s.hamming)}


def _share(find: Callable[[str], str | None], golden: Sequence[str], texts: Sequence[str]) -> Scores:
    """Accuracy of letters. An answer without a letter is wrong; the reference draws one at random."""
    right = [find(t) is not None and find(t) == find(g) for g, t in zip(golden, texts, strict=True)]
    return {"accuracy": _percent(ecgbench.accuracy(right))}


def _mean_of_ten(rows: Sequence[Mapping[str, float | None]], dimensions: Sequence[str]) -> Scores:
    out: Scores = {}
    for name in dimensions:
        values = [v for row in rows if (v := row[name]) is not None]
        out[name] = round(10 * sum(values) / len(values), 2) if values else None
    known = [v for v in out.values() if v is not None]
    return {**out, "mean": round(sum(known) / len(known), 2) if known else None}


def _percent(share: float) -> float | None:
    return None if share != share else round(100 * share, 2)
