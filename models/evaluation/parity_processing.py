"""Parity of the processing: records to tower input, pages to pixels, the drawn page, prompt strings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_cdt

from models.evaluation.comparison import PIXELS, Comparison
from models.gem.anyres import best_resolution, crop_grid, tuple_of, unpadded
from models.gem.configuration import IMAGE_ASPECTS
from models.gem.conversation import TEMPLATES
from models.gem.ecg_window import fixed_length
from models.gem.page import PAGE_S, PX_PER_MV, PX_PER_S, reference_layout, reference_page
from models.gem.processing import PagePreprocessor
from models.records import read_record

Array = NDArray[Any]

PAGE_PX = 1.0
NAMES_S, SCALE_MV = 0.6, 1.0  # what names and scale take of the page
INK = 140  # a pixel whose red is below it belongs to a trace: the grid's red is full


def compare_preprocessing(folder: Path, to: Comparison) -> None:
    """Raw records to the tower's input, sample for sample, as the reference does it."""
    import wfdb
    from safetensors.numpy import load_file

    expected = load_file(folder / "expected.safetensors")
    for record in json.loads((folder / "records.json").read_text()):
        name = record["name"]
        physical = wfdb.rdsamp(str(folder / "records" / name))[0]
        to.near(f"{name}.rdsamp_physical", physical, expected[f"{name}.rdsamp_physical"], 0.0)
        window = fixed_length(physical.T)
        for key, array in expected.items():
            if key.startswith(f"{name}.") and key != f"{name}.rdsamp_physical":
                to.near(key, window.astype(array.dtype), array, 0.0)
    if "array.normalize_in" in expected:
        raw = expected["array.normalize_in"][0]
        lead = np.arange(raw.shape[0])[:, None]  # the fixture's mean and spread grow with the lead
        mean, std = (0.1 * lead).astype(raw.dtype), (0.5 + 0.1 * lead).astype(raw.dtype)
        out = expected["array.normalize_resize_out"]
        to.near("array.normalize_resize_out", fixed_length((raw - mean) / std, out.shape[-1])[None], out, 0.0)


def compare_pixels(folder: Path, to: Comparison) -> None:
    """Pages through CLIP's preprocessing in each aspect, and the table of crop geometry."""
    from safetensors.numpy import load_file

    settings = json.loads((folder / "preprocessor_config.json").read_text())
    table = json.loads((folder / "anyres_table.json").read_text()) if (folder / "anyres_table.json").is_file() else {}
    points = tuple(tuple_of(p) for p in table.get("pinpoints", [])) or PagePreprocessor().pinpoints
    expected = load_file(folder / "pixels.safetensors")
    crop = int(settings["crop_size"]["height"])
    mean, std = tuple(settings["image_mean"]), tuple(settings["image_std"])
    for name in sorted({key.split(".")[0] for key in expected}):
        keys = [key for key in expected if key.startswith(f"{name}.")]
        best: list[tuple[str, Array]] | None = None
        for path in _page_files(folder, name):
            page = Image.open(path)
            views = {aspect: PagePreprocessor(crop, aspect, points, mean, std)(page) for aspect in IMAGE_ASPECTS}
            ours = [(key, _pixel_view(views, key)) for key in keys]
            if best is None or _distance(ours, expected) < _distance(best, expected):
                best = ours
        for key, array in best or [(key, np.zeros(0)) for key in keys]:
            to.near(key, array, expected[key], PIXELS)
    if table:
        side = int(table["patches_per_side"])
        ours_rows = [_geometry(tuple_of(row["wh"]), points, crop, side) for row in table["rows"]]
        to.same("anyres_table", ours_rows, [{k: row[k] for k in ours_rows[0]} for row in table["rows"]])


def compare_pages(folder: Path, to: Comparison) -> None:
    """Our page against the reference's: its plotted points, and its ink in the columns of the traces."""
    for png, geometry, record, number in drawn_pages(folder):
        ecg = read_record(str(record))
        ecg = ecg.slice(round(number * PAGE_S * ecg.fs_hz), ecg.n_samples)
        ours, theirs = reference_page(ecg)[..., 0] < INK, np.asarray(Image.open(png).convert("RGB"))[..., 0] < INK
        drawn = json.loads(geometry.read_text())
        to.same(f"{png.stem}.size", list(ours.shape), [drawn["height"], drawn["width"]])
        for lead in drawn["leads"]:
            points = np.array(lead["plotted_pixels_every_50th_yx"], float)
            points = points[np.isfinite(points).all(axis=1)]
            distance = [_ink_distance(ours, y, x) for y, x in points]
            to.near(f"{png.stem}.{lead['lead_name']}", max(distance, default=0.0), 0.0, PAGE_PX)
        # Names and scale are in another typeface: ink is compared to the right of the names, above the scale.
        first, last = round(reference_layout().panels[0].x + NAMES_S * PX_PER_S), round(points[-1, 1])
        part = (slice(1, -round(SCALE_MV * PX_PER_MV)), slice(first, last))
        farthest = max(_farthest_ink(ours, theirs, part), _farthest_ink(theirs, ours, part))
        to.near(f"{png.stem}.ink", farthest, 0.0, PAGE_PX)


def compare_prompts(folder: Path, to: Comparison) -> None:
    """Prompt strings of the templates; the question is read from the plain one, conversations from their own turns."""
    expected = json.loads((folder / "prompts.json").read_text())
    question = expected["plain"].removesuffix("\n") if "plain" in expected else None
    for key, prompt in expected.items():
        template = TEMPLATES.get(key.split(".")[0])
        if template is None:
            to.same(key, "", prompt)
            continue
        turns = _turns(template, prompt) if "." in key or question is None else [(question, None)]
        to.same(key, template.prompt(turns), prompt)


def _turns(template: Any, prompt: str) -> list[tuple[str, str | None]]:
    """The conversation of a prompt, read back through its template."""
    turns: list[tuple[str, str | None]] = []
    for part in prompt.removeprefix(template.opening).split(template.human)[1:]:
        question, _, answer = part.partition(template.after_human + template.assistant.rstrip(" "))
        turns.append((question, answer.removeprefix(" ").removesuffix(template.after_assistant) or None))
    return turns


def _geometry(size: tuple[int, int], points: Sequence[tuple[int, int]], crop: int, side: int) -> dict[str, Any]:
    columns, rows = crop_grid(size, points, crop)
    keep_rows, keep_columns = unpadded(size, rows * side, columns * side)
    h, w = keep_rows.stop - keep_rows.start, keep_columns.stop - keep_columns.start
    return {
        "best_resolution": list(best_resolution(size, points)),
        "grid_wh": [columns, rows],
        "unpadded_hw": [h, w],
        "image_tokens_spatial_unpad": side * side + h * (w + 1),
        "crops": columns * rows + 1,
    }


def _page_files(folder: Path, name: str) -> list[Path]:
    """The page's own file; else those of its size in the folders beside (fixtures share their large pages)."""
    own = [path for path in folder.glob(f"{name}.*") if path.suffix in (".png", ".jpg", ".jpeg", ".bmp")]
    if own:
        return own
    size = name.rpartition("_")[2]
    return [p for p in sorted(folder.parent.glob("*/*.png")) if "x".join(map(str, Image.open(p).size)) == size]


def _pixel_view(views: dict[str, Array], key: str) -> Array:
    """The part of a page's views that a key such as ``name.anyres.all_strided7`` names."""
    _, aspect, *part = key.split(".")
    pixels = views[aspect]
    if not part:
        return pixels
    if part[0].startswith("all_strided"):
        step = int(part[0].removeprefix("all_strided"))
        return pixels[:, :, ::step, ::step]
    first, last = part[0].removeprefix("crops_").split("_")
    return pixels[int(first) : int(last) + 1]


def _distance(ours: list[tuple[str, Array]], expected: dict[str, Array]) -> float:
    return max(float(np.abs(a - expected[k]).max()) if a.shape == expected[k].shape else np.inf for k, a in ours)


def drawn_pages(folder: Path) -> list[tuple[Path, Path, Path, int]]:
    """(page, its geometry, its record, its number) of each page of a folder; a record has one for each ten seconds."""
    found = []
    for png in sorted(folder.glob("*-*.png")):
        name, _, number = png.stem.rpartition("-")
        record = folder / "records" / name
        if number.isdigit() and png.with_suffix(".json").is_file() and record.with_suffix(".hea").is_file():
            found.append((png, png.with_suffix(".json"), record, int(number)))
    return found


def _ink_distance(ink: NDArray[np.bool_], y: float, x: float) -> float:
    """Pixels from a plotted point to the nearest ink in its own column."""
    rows = np.flatnonzero(ink[:, int(x)])
    return float(np.abs(np.clip(y, rows, rows + 1) - y).min()) if len(rows) else float(ink.shape[0])


def _farthest_ink(a: NDArray[np.bool_], b: NDArray[np.bool_], part: tuple[slice, slice]) -> float:
    """How far, in pixels along both axes, the ink of a part of ``a`` lies from that of ``b`` at most."""
    away: Array = distance_transform_cdt(~b, metric="chessboard")
    return float(away[part][a[part]].max(initial=0))
