"""One run of a published evaluation: questions to answers to scores, and the table.

``gem-bedside evaluate grounding`` and ``evaluate ecgbench`` call it.
"""

from __future__ import annotations

from pathlib import Path

from deploy.failures import CommandFailed, ServiceMissing, WrongUse, needs_extra
from deploy.output import Output


def run_benchmark(
    benchmark: str,
    questions: list[Path],
    *,
    data: Path,
    model: str | None,
    out: Path,
    processes: int,
    device: str,
    evidence: bool,
    ablation: str,
    judge: tuple[str | None, str, Path | None],
    as_json: bool,
) -> None:
    """Answer and score each question file; one table (or JSON line) for all.

    Parameters
    ----------
    judge : (url, model, key file)
        Without a URL the code judge scores.

    Raises
    ------
    WrongUse, ServiceMissing, CommandFailed
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Table

    with needs_extra("gem"):
        from models.corpus.conversation_files import ConversationFileError, read_conversations
        from models.corpus.published_layout import PublishedLayout
        from models.evaluation.benchmark_scores import score_grounding, score_task, task_of
        from models.evaluation.generation import AnswersOfAnotherRunError, GenerationSettings, generate
        from models.evaluation.judges import CodeJudge, EndpointJudge, JudgeError
        from models.gem.errors import GemUnavailable
    output = Output(as_json)
    if not data.is_dir():
        raise WrongUse(f"{data}: no such folder")
    layout = PublishedLayout(data)
    try:
        settings = GenerationSettings(model=_model_folder(model), device=device, evidence=evidence, ablation=ablation)
        tasks = [None if benchmark == "grounding" else task_of(path) for path in questions]
    except ValueError as error:
        raise WrongUse(str(error)) from error
    url, name, key = judge
    with needs_extra("gem"):
        judging = CodeJudge() if url is None else EndpointJudge(url, name, key.read_text().strip() if key else "")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    rows = []
    try:
        with Progress(*columns, console=Console(stderr=True)) as progress:
            for path, task in zip(questions, tasks, strict=True):
                conversations = read_conversations(path)
                bar = progress.add_task(path.stem, total=len(conversations))
                answers = generate(
                    conversations,
                    layout,
                    settings,
                    out / f"{path.stem}.answers.jsonl",
                    processes=processes,
                    progress=lambda done, bar=bar: progress.update(bar, completed=done),
                )
                judged = out / f"{path.stem}.judged.jsonl"
                if task is None:
                    rows.append(score_grounding(conversations, answers, judging, layout, judged))
                else:
                    rows.append(score_task(task, conversations, answers, judging, layout, judged))
    except GemUnavailable as error:
        raise ServiceMissing(str(error)) from error
    except (ConversationFileError, AnswersOfAnotherRunError, JudgeError, OSError, ValueError) as error:
        raise CommandFailed(str(error)) from error
    if as_json:
        for row in rows:
            output.line(row.to_json())
        return
    table = Table("task", "answers", "errors", "scores", "measure", "value")
    for row in rows:
        for kind, scores in (("reference", row.reference), ("strict", row.strict)):
            for measure, value in scores.items():
                text = "–" if value is None else f"{value:.2f}"
                table.add_row(row.task, str(row.answers), str(row.errors), kind, measure, text)
    output.console.print(table)


def _model_folder(model: str | None) -> Path:
    """Folder of the checkpoint: as given, else the setting, else the shipped one."""
    from agents.interpreter.gem_reader import COMPACT_FOLDER
    from agents.settings import Settings

    folder = Path(model) if model is not None else Settings().model or COMPACT_FOLDER
    if not folder.is_dir():
        raise WrongUse(f"--model {folder}: no such folder")
    return folder
