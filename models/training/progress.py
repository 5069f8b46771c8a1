"""Progress of a training run: a progress bar, a CSV log of scores, and a plot of the log."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Log:
    """Scores of a run, one CSV row per save; appends to the log of an earlier run in the same folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        """Append one row; the first one writes the header."""
        fresh = not self.path.is_file()
        with self.path.open("a", newline="") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(["step", *figures])
            writer.writerow([step, *(f"{v:.5g}" for v in figures.values())])

    def plot(self, target: Path) -> None:
        """Plot each score against steps, one panel each."""
        from matplotlib.figure import Figure

        with self.path.open(newline="") as file:
            header, *rows = list(csv.reader(file))
        steps = [float(row[0]) for row in rows]
        figure = Figure(figsize=(3.2 * (len(header) - 1), 2.6), layout="constrained")
        for k, (axes, name) in enumerate(
            zip(figure.subplots(1, len(header) - 1, squeeze=False)[0], header[1:], strict=True), 1
        ):
            axes.plot(steps, [float(row[k]) for row in rows], linewidth=1)
            axes.set_title(name, fontsize=8)
        figure.savefig(target, dpi=100)


@contextmanager
def bar(what: str, total: int, done: int = 0) -> Iterator[Progress]:
    """A progress bar on standard error; ``advance`` its one task."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=1) as progress:
        progress.add_task(what, total=total, completed=done)
        yield progress
