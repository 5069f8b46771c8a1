"""``gem-bedside evaluate``: parity with the reference, and scores of the compact models.

``parity FOLDER…`` compares the classes of `models` with fixtures of the reference, tensor by tensor; ``findings``
scores the compact models on recordings outside the training data; ``grounding`` and ``ecgbench`` run the two published
evaluations of GEM: generate, judge, score.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from deploy.commands.options import Json, ModelDir

app = typer.Typer(
    no_args_is_help=True,
    help="Parity with the reference, and scores of the compact models.",
    pretty_exceptions_enable=False,
)

Folders = Annotated[
    list[Path], typer.Argument(metavar="FOLDER…", help="Fixture folders; their content defines their kind.")
]


@app.command()
def parity(folders: Folders, as_json: Json = False) -> None:
    """Compare the largest error of each tensor with its tolerance; exit status 1 where one exceeds it."""
    from deploy.failures import CommandFailed, ServiceMissing, needs_extra
    from deploy.output import Output, complain

    out = Output(as_json)
    rows, bad, unread = 0, 0, 0
    for folder in folders:
        try:
            with needs_extra("gem"):
                from models.evaluation.parity import run_parity

                for row in run_parity(folder):
                    rows += 1
                    bad += not row.ok
                    if as_json:
                        out.line(row.to_json())
                    else:
                        mark = "[green]ok [/green]" if row.ok else "[red]out[/red]"
                        out.console.print(
                            f"{mark} {row.fixture:26} {row.tensor:40} {row.max_error!s:>10.10} of {row.tolerance:g}"
                        )
        except ServiceMissing:
            raise
        except Exception as error:  # an exception is the answer of this folder; the others go on
            unread += 1
            problem = f"{error}" or type(error).__name__
            out.line({"fixture": folder.name, "error": problem}) if as_json else complain(f"{folder}: {problem}")
    if bad or unread:
        raise CommandFailed(
            f"{bad} of {rows} comparisons exceed their tolerance; {unread} folders could not be compared"
        )


@app.command()
def findings(
    data: Annotated[Path, typer.Option(help="Folder of recordings (ptbxl, ludb).")],
    folds: Annotated[Path, typer.Option(help="Folder with ludb.csv and cinc2017.csv.")],
    model: Annotated[Path | None, typer.Option(help="Folder of the GEM to score; default: the shipped one.")] = None,
    as_json: Json = False,
) -> None:
    """Score the heads beside two baselines, and the texts by code, on PTB-XL fold 8 and LUDB fold 4."""
    from deploy.failures import WrongUse, needs_extra
    from deploy.output import Output

    for folder in (data, folds):
        if not folder.is_dir():
            raise WrongUse(f"{folder}: no such folder")
    with needs_extra("gem"):
        from agents.interpreter.gem_reader import COMPACT_FOLDER
        from models.evaluation.compact_model_scores import evaluate, print_table

        shipped = COMPACT_FOLDER if COMPACT_FOLDER.is_dir() else None
        result = evaluate(data, folds, model=model or shipped)
    if as_json:
        Output(as_json).line(result)
    else:
        print_table(result)


DataFolder = Annotated[
    Path, typer.Option("--data", metavar="ROOT", help="Data folder in GEM's published layout (docs/model-card.md).")
]
OutFolder = Annotated[Path, typer.Option("--out", metavar="DIR", help="Answers and scores; a run there goes on.")]
Processes = Annotated[int, typer.Option("--processes", min=1, help="Processes that answer; each loads the model.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Evidence = Annotated[
    bool, typer.Option("--evidence", help="Give measurements and encoder findings in the prompt (compact GEM).")
]
Ablation = Annotated[str, typer.Option("--ablation", help="none, zero, noise, swapped or blank page.")]
JudgeUrl = Annotated[
    str | None,
    typer.Option("--judge-url", metavar="URL", help="OpenAI-compatible service; without it the code judge scores."),
]
JudgeModel = Annotated[str, typer.Option("--judge-model", help="Name of the judging model.")]
JudgeKey = Annotated[
    Path | None, typer.Option("--judge-key", metavar="FILE", help="File with the API key of the judge.")
]
Questions = Annotated[list[Path], typer.Argument(metavar="QUESTIONS…", help="Question files (.json, .jsonl).")]


def _benchmark(name: Literal["grounding", "ecgbench"]) -> Callable[..., None]:
    """The command of one published evaluation; both take the same options."""

    def run(
        questions: Questions,
        data: DataFolder,
        model: ModelDir = None,
        out: OutFolder = Path("evaluation"),
        processes: Processes = 1,
        device: Device = "auto",
        evidence: Evidence = False,
        ablation: Ablation = "none",
        judge_url: JudgeUrl = None,
        judge_model: JudgeModel = "gpt-4o-2024-08-06",
        judge_key: JudgeKey = None,
        as_json: Json = False,
    ) -> None:
        from deploy.benchmark_run import run_benchmark

        run_benchmark(
            name,
            questions,
            data=data,
            model=model,
            out=out,
            processes=processes,
            device=device,
            evidence=evidence,
            ablation=ablation,
            judge=(judge_url, judge_model, judge_key),
            as_json=as_json,
        )

    return run


app.command("grounding", help="Grounded ECG Understanding: generate, judge, score. Resumable.")(_benchmark("grounding"))
app.command("ecgbench", help="ECG-Bench: answer its question files and score them, a task a file. Resumable.")(
    _benchmark("ecgbench")
)
