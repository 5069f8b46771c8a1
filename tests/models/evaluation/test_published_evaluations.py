"""The two published evaluations, end to end: compact and tiny GEM, code judge and an OpenAI-compatible judge."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import pytest

from agents.interpreter.gem_reader import COMPACT_FOLDER
from models.corpus.conversation_files import read_conversations
from models.corpus.datasets import ludb
from models.corpus.published_layout import PublishedLayout
from models.corpus.published_layout import main as check_layout
from models.evaluation.benchmark_scores import score_grounding, score_task, task_of
from models.evaluation.generation import (
    Answer,
    AnswersOfAnotherRunError,
    GenerationSettings,
    generate,
    read_answers,
)
from models.evaluation.grounded_understanding import DIMENSIONS
from models.evaluation.judges import CodeJudge, EndpointJudge, JudgeCase, JudgeError
from tests.deploy.command import gem_bedside
from tests.models.evaluation.published_folder import PublishedFolder, make_folder

pytestmark = pytest.mark.data
RECORDS = 3
TELLING = ("csn-test-no-cot", "ptb-test", "cpsc-test", "code15-test", "ecgqa-test")


@pytest.fixture(scope="module")
def folder(data_home: Path, score_home: Path, tmp_path_factory: pytest.TempPathFactory) -> PublishedFolder:
    records = list(islice(ludb(data_home, score_home / "folds"), RECORDS))
    return make_folder(tmp_path_factory.mktemp("published"), records)


@pytest.fixture(scope="module")
def answers(folder: PublishedFolder, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    """The compact GEM's answers to the grounded question, with evidence in the prompt."""
    path = tmp_path_factory.mktemp("answers") / "grounding.answers.jsonl"
    settings = GenerationSettings(model=COMPACT_FOLDER, device="cpu", max_new_tokens=300, evidence=True)
    return generate(read_conversations(folder.questions["grounding"]), PublishedLayout(folder.root), settings, path)


class StubJudge(BaseHTTPRequestHandler):
    """An OpenAI-compatible service that gives everything full marks; its first answer is a rate limit."""

    requests: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.requests.append({"path": self.path, "key": self.headers["Authorization"], **body})
        if len(self.requests) == 1:
            self.send_response(429)
            self.end_headers()
            return
        prompt = body["messages"][0]["content"]
        scores: dict[str, Any] = {name: [{"Score": 1, "Explanation": "yes"}] for name in DIMENSIONS}
        if '"Diagnosis": 0-10' in prompt:
            scores = {"Diagnosis": 10, "Waveform": 5, "Rhythm": 6}
        content = f"```json\n{json.dumps(scores)}\n```"
        out = json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(out)))
        self.end_headers()
        self.wfile.write(out)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def stub() -> Iterator[str]:
    StubJudge.requests.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), StubJudge)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def test_a_layout_with_missing_parts_is_reported(folder: PublishedFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_layout([str(folder.root)]) == 1
    printed = capsys.readouterr().out
    assert "missing  ecg_timeseries/mimic-iv" in printed
    assert f"ecg_bench/jsons/ptb-test.json: {RECORDS} ecg, {RECORDS} image" in printed


def test_the_code_judge_scores_the_compact_gem(
    folder: PublishedFolder, answers: dict[str, Answer], tmp_path: Path
) -> None:
    conversations = read_conversations(folder.questions["grounding"])
    judged = tmp_path / "judged.jsonl"
    layout = PublishedLayout(folder.root)
    scores = score_grounding(conversations, answers, CodeJudge(), layout, judged)
    assert (scores.answers, scores.errors) == (RECORDS, 0)
    assert all(scores.reference[name] is not None for name in DIMENSIONS)
    grounded = scores.reference["ECGFeatureGrounding"]
    assert grounded is not None and grounded >= 50  # its prompt holds the measurements

    # A text about another heart scores less
    wrong = {
        k: replace(a, text="Atrial fibrillation, rate 190 bpm, PR 300 ms, QRS 200 ms.") for k, a in answers.items()
    }
    of_wrong = score_grounding(conversations, wrong, CodeJudge(), layout).reference
    assert (of_wrong["ECGFeatureGrounding"] or 0) < grounded
    assert (of_wrong["AnalysisRelevance"] or 0) < (scores.reference["AnalysisRelevance"] or 0)
    # The judge's answers are kept: a second run asks nothing
    assert score_grounding(conversations, answers, _NeverAsked(), layout, judged) == scores


class _NeverAsked:
    name = "code"

    def __call__(self, case: JudgeCase) -> str:
        raise AssertionError(f"asked again: {case.question}")


def test_an_openai_compatible_judge_is_asked_again_after_a_rate_limit(
    folder: PublishedFolder, answers: dict[str, Answer], stub: str
) -> None:
    waited: list[float] = []
    judge = EndpointJudge(stub, "judge-1", "secret", sleep=waited.append)
    conversations = read_conversations(folder.questions["grounding"])
    scores = score_grounding(conversations, answers, judge, PublishedLayout(folder.root))
    assert len(waited) == 1 and len(StubJudge.requests) == RECORDS + 1
    assert scores.reference["DiagnosisAccuracy"] == 100.0 and scores.strict["DiagnosisAccuracy"] == 50.0
    asked = StubJudge.requests[-1]
    assert (asked["path"], asked["model"], asked["key"]) == ("/v1/chat/completions", "judge-1", "Bearer secret")
    assert answers[conversations[-1].id].text in asked["messages"][0]["content"]

    report = read_conversations(folder.questions["ptb-test-report"])
    task = task_of(folder.questions["ptb-test-report"])
    by_id = {c.id: answers[c.id] for c in report}
    assert score_task(task, report, by_id, judge, PublishedLayout(folder.root)).reference["mean"] == 70.0


def test_a_judge_that_is_not_there_is_an_error() -> None:
    judge = EndpointJudge("http://127.0.0.1:9/v1", "judge-1", sleep=lambda seconds: None)
    with pytest.raises(JudgeError, match="judge-1 did not answer 4 times"):
        judge(JudgeCase("report", "Write a report.", "Sinus rhythm.", "Sinus rhythm."))


@pytest.mark.parametrize("name", TELLING)
def test_a_perfect_answer_scores_full_marks_and_a_wrong_one_none(folder: PublishedFolder, name: str) -> None:
    path = folder.questions[name]
    conversations = read_conversations(path)
    layout = PublishedLayout(folder.root)
    measure = {"labels": "HL", "letter": "accuracy", "options": "accuracy"}[task_of(path).kind]

    def score(text: str | None) -> float | None:
        given = {
            c.id: Answer(c.id, text if text is not None else c.answer or "", 1, "stop", 0.1) for c in conversations
        }
        return score_task(task_of(path), conversations, given, CodeJudge(), layout).strict[measure]

    right, wrong = score(None), score("HYP, B, no, ABNORMAL, AF")
    assert right == (0.0 if measure == "HL" else 100.0)
    assert wrong is not None and right is not None and abs(wrong - right) > 10


def test_a_killed_run_goes_on_where_it_stopped(
    folder: PublishedFolder, answers: dict[str, Answer], tmp_path: Path
) -> None:
    conversations = read_conversations(folder.questions["grounding"])
    settings = GenerationSettings(model=COMPACT_FOLDER, device="cpu", max_new_tokens=300, evidence=True)
    path = tmp_path / "a.answers.jsonl"
    layout = PublishedLayout(folder.root)
    generate(conversations[:1], layout, settings, path)
    with path.open("a") as file:
        file.write('{"id": "torn')  # the kill came in the middle of a line
    before = path.read_text().splitlines()[0]
    done: list[int] = []
    generate(conversations, layout, settings, path, progress=done.append)
    lines = path.read_text().splitlines()
    assert lines[0] == before and len(lines) == RECORDS and done[-1] == RECORDS
    assert {k: a.text for k, a in read_answers(path).items()} == {k: a.text for k, a in answers.items()}
    with pytest.raises(AnswersOfAnotherRunError, match="ablation"):
        generate(conversations, layout, replace(settings, ablation="zero"), path)


def test_evaluate_grounding_and_ecgbench_from_the_command_line(
    folder: PublishedFolder, tmp_path: Path, stub: str
) -> None:
    key = tmp_path / "key"
    key.write_text("secret\n")
    base = ("--data", str(folder.root), "--out", str(tmp_path / "run"), "--device", "cpu", "--json")
    ran = gem_bedside(
        "evaluate", "grounding", str(folder.questions["grounding"]), *base, "--evidence", "--processes", "2"
    )
    (row,) = ran.lines
    assert ran.status == 0 and row["task"] == "grounding" and row["answers"] == RECORDS and row["errors"] == 0

    files = [str(folder.questions[name]) for name in ("ptb-test", "csn-test-no-cot", "ecg-arena")]
    judge = ("--judge-url", stub, "--judge-model", "judge-1", "--judge-key", str(key))
    ran = gem_bedside("evaluate", "ecgbench", files[0], files[1], *base, *judge)
    assert ran.status == 0 and [r["task"] for r in ran.lines] == ["ptb-test", "csn-test"]
    ran = gem_bedside("evaluate", "ecgbench", files[0], "--data", str(tmp_path / "nowhere"))
    assert ran.status == 2 and "no such folder" in ran.err


@pytest.mark.parametrize("ablation", ["none", "zero", "swapped", "blank page"])
def test_a_checkpoint_of_the_published_layout_answers_the_questions(
    folder: PublishedFolder, parity_home: Path, tmp_path: Path, ablation: str
) -> None:
    conversations = read_conversations(folder.questions["csn-test-no-cot"])
    layout = PublishedLayout(folder.root)
    tiny = parity_home / "gem_tiny_v1"
    settings = GenerationSettings(model=tiny, device="cpu", max_new_tokens=6, ablation=ablation)
    given = generate(conversations, layout, settings, tmp_path / "a.answers.jsonl")
    assert {a.finish for a in given.values()} <= {"stop", "length"}, given
    scores = score_task(task_of(folder.questions["csn-test-no-cot"]), conversations, given, CodeJudge(), layout)
    assert scores.answers == RECORDS and scores.errors == 0
