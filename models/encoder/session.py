"""Runs an exported ECG-CoCa graph with ONNX Runtime: windows in, tokens and pooled features out. No torch.

In: float32 [n, 12, 5000], mV at 500 Hz, leads I, II, III, aVR, aVL, aVF, V1 … V6; non-finite samples become 0, as in
the tower's training. Out: ``Encoded(tokens [n, 101, width], pooled [n, embed_dim])``, float32.

`encode` is the one-line use; `EncoderSession` keeps a loaded encoder for many calls. ONNX Runtime falls back from CUDA
to the CPU without an error (its issue 23372): the session compares its providers with the one it asked for, and raises.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from models.encoder.configuration import TowerConfig
from models.encoder.device_lanes import DeviceLanes, with_half_input
from models.encoder.weights_digest import file_digest
from models.networks.loading import WARNINGS, open_session
from models.networks.onnx_runtime import onnx_runtime

Floats = NDArray[np.float32]

COMPACT_FOLDER = Path(__file__).resolve().parent.parent / "weights" / "encoder-compact"
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
DEVICES = ("auto", "cpu", "cuda")
POOLED_FILE, POOLED = "pooled.onnx", "pooled"  # graph of the pooled feature alone, and its digest in config.json
NVIDIA_DEVICE = Path("/dev/nvidiactl")  # exists where the kernel drives an NVIDIA GPU
# A batch on the CPU gains nothing past a few windows (measured: benchmarks/gem.md); a GPU fills up at some tens.
MAX_BATCH = {CPU: 8, CUDA: 64}


class EncoderUnavailable(RuntimeError):  # noqa: N818 - the technical alarm ENCODER_UNAVAILABLE
    """No encoder on the device asked for; the message says why and what to do."""


class Encoded(NamedTuple):
    """Features of n windows.

    Attributes
    ----------
    tokens : float32 [n, 101, width]
        Output of the last block, class token first; GEM reads them.
    pooled : float32 [n, embed_dim]
        Pooled feature; the linear heads read it.
    """

    tokens: Floats
    pooled: Floats


def encode(windows: Floats, folder: Path | str | None = None, device: str = "auto") -> Encoded:
    """Encode 12-lead windows.

    Parameters
    ----------
    windows : float32 [n, 12, 5000]
        Millivolts at 500 Hz, leads in canonical order; absent leads are zeros.
    folder : path or None
        Encoder folder; None: the compact encoder of the package.
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    Encoded
        ``tokens`` [n, 101, width] and ``pooled`` [n, embed_dim].

    Raises
    ------
    EncoderUnavailable
        No encoder in the folder, or no such device.
    ValueError
        Windows of another shape.

    Examples
    --------
    A beat of 1 mV each second in lead II:

    >>> windows = np.zeros((1, 12, 5000), np.float32)
    >>> windows[0, 1, 250::500] = 1.0
    >>> encoded = encode(windows, device="cpu")
    >>> encoded.tokens.shape, round(float(encoded.pooled[0, 1]), 2)
    ((1, 101, 128), 3.06)

    See Also
    --------
    EncoderSession : a loaded encoder for many calls.
    models.gem.ecg_window.ecg_window : the window of any ECG.
    """
    return EncoderSession.load(folder, device).encode(windows)


class EncoderSession:
    """One loaded encoder. Safe to call from several threads; on CUDA two run at a time.

    Attributes
    ----------
    name, weights : str
        Name, and ``sha256:…`` of ``model.onnx``, for the provenance of its flags. The graph of the pooled feature alone
        is one of the same weights in eight-bit integers: its name ends in "int8".
    trained : bool
        False: the weights are random, and its features must flag nothing.
    provider : str
        Execution provider of ONNX Runtime.
    config : TowerConfig
    folder : Path
    """

    def __init__(self, graph: Path, document: dict[str, Any], provider: str, threads: int | None) -> None:
        self.folder = graph.parent
        self._has_tokens = graph.name != POOLED_FILE
        self.name = str(document["name"]) + ("" if self._has_tokens else " int8")
        self.weights = str(document["weights"])
        self.trained = bool(document["trained"])
        self.precision = str(document.get("precision", "fp32"))
        self.config = TowerConfig(**document["tower"])
        self.provider = provider
        self.max_batch = MAX_BATCH[provider]
        if provider == CPU:
            self._session = _open_session(graph, provider, threads)
        else:
            half = self.precision == "fp16"  # its arithmetic has no more digits
            source = with_half_input(graph) if half else graph
            self._lanes = DeviceLanes.opened(
                lambda: _open_session(source, provider, threads), self.config, self.max_batch, half=half
            )

    @classmethod
    def load(
        cls,
        folder: Path | str | None = None,
        device: str = "auto",
        *,
        threads: int | None = None,
        tokens: bool = True,
    ) -> Self:
        """Load an encoder folder; None is the compact encoder of the package.

        Parameters
        ----------
        folder : path or None
            With ``model.onnx`` and ``config.json`` as ``models.encoder.export`` writes them.
        device : {"auto", "cpu", "cuda"}
            ``auto``: CUDA where there is a GPU and the GPU build of ONNX Runtime, else the CPU.
        threads : int or None
            Threads of one call on the CPU; None: all cores.
        tokens : bool
            False: only the pooled feature is needed. On the CPU it comes from ``pooled.onnx``
            (`models.encoder.pooled_graph`), where the folder has one, at less than half of the cost; there are no
            tokens then.

        Raises
        ------
        EncoderUnavailable
            A file is missing or does not match its digest, or there is no such device.
        """
        folder = Path(folder) if folder is not None else COMPACT_FOLDER
        provider = choose_provider(device)
        document = _read_document(folder)
        if provider == CPU and document.get("precision", "fp32") != "fp32":
            raise EncoderUnavailable(
                f"the encoder in {folder} was exported in {document['precision']}, which runs "
                "on CUDA alone; export it with --precision fp32 for the CPU"
            )
        graph, digest = folder / "model.onnx", document["weights"]
        if not tokens and provider == CPU and POOLED in document:
            graph, digest = folder / POOLED_FILE, document[POOLED]
        _check_digest(graph, str(digest))
        return cls(graph, document, provider, threads)

    def encode(self, windows: Floats) -> Encoded:
        """Features of windows [n, 12, 5000] mV; a large n is split into batches of ``max_batch``.

        Where the session was loaded without tokens from ``pooled.onnx``, there are none: [n, 0, width].
        """
        if not self._has_tokens:
            return Encoded(np.empty((len(windows), 0, self.config.width), np.float32), self.pooled(windows))
        windows = self._checked(windows)
        n = windows.shape[0]
        tokens = np.empty((n, self.config.tokens, self.config.width), np.float32)
        pooled = np.empty((n, self.config.embed_dim), np.float32)
        start = 0
        for some, feature in self._run(windows, tokens=True):
            part = slice(start, start + len(feature))
            tokens[part], pooled[part] = some, feature
            start = part.stop
        return Encoded(tokens, pooled)

    def pooled(self, windows: Floats) -> Floats:
        """Pooled features alone, [n, embed_dim]: a tenth of the transfer from a GPU."""
        parts = [feature for _, feature in self._run(self._checked(windows), tokens=False)]
        return np.concatenate(parts) if parts else np.empty((0, self.config.embed_dim), np.float32)

    def _checked(self, windows: Floats) -> Floats:
        windows = np.asarray(windows, np.float32)
        leads, samples = self.config.leads, self.config.samples
        if windows.ndim != 3 or windows.shape[1:] != (leads, samples):
            raise ValueError(f"windows have shape {windows.shape}, expected [n, {leads}, {samples}]")
        if not np.isfinite(windows).all():
            windows = np.nan_to_num(windows, nan=0.0, posinf=0.0, neginf=0.0)
        return np.ascontiguousarray(windows)

    def _run(self, windows: Floats, tokens: bool) -> Iterable[tuple[Floats, Floats]]:
        """Tokens (where wanted) and pooled features, batch by batch."""
        batches = [windows[k : k + self.max_batch] for k in range(0, len(windows), self.max_batch)]
        if self.provider == CPU:
            return (self._run_here(batch, tokens) for batch in batches)
        return self._lanes.run(batches, tokens) if batches else ()

    def _run_here(self, windows: Floats, tokens: bool) -> tuple[Floats, Floats]:
        if tokens:
            out = self._session.run(["tokens", "pooled"], {"ecg": windows})
            return out[0], out[1]
        return np.empty(0, np.float32), self._session.run(["pooled"], {"ecg": windows})[0]


def choose_provider(device: str) -> str:
    """Execution provider for ``auto``, ``cpu`` or ``cuda``; raises `EncoderUnavailable` where it is missing."""
    try:
        onnxruntime = onnx_runtime()
    except ImportError as error:
        raise EncoderUnavailable("onnxruntime is not installed: pip install 'gem-bedside[cpu]', or [gpu]") from error
    if device not in DEVICES:
        raise EncoderUnavailable(f"device {device!r} is not one of {', '.join(DEVICES)}")
    available = onnxruntime.get_available_providers()
    if device == "cpu" or (device == "auto" and not (CUDA in available and NVIDIA_DEVICE.exists())):
        return CPU
    if CUDA not in available:
        raise EncoderUnavailable(
            f"device cuda was asked for, but this onnxruntime has only {', '.join(available)}; "
            "install 'gem-bedside[gpu]' in place of 'gem-bedside[cpu]'"
        )
    return CUDA


def reject_fallback(asked: str, given: Sequence[str]) -> None:
    """Raise `EncoderUnavailable` where a session does not run on the provider asked for.

    >>> reject_fallback("CUDAExecutionProvider", ["CUDAExecutionProvider", "CPUExecutionProvider"])
    """
    if not given or given[0] != asked:
        raise EncoderUnavailable(
            f"asked for {asked}, but ONNX Runtime gives {', '.join(given) or 'nothing'}: "
            "see its warning above (driver, CUDA and cuDNN versions), or set the device to cpu"
        )


def _open_session(graph: Path | bytes, provider: str, threads: int | None) -> Any:
    # TF32 would cost three digits of the float32 features; the fp16 export is the fast one.
    asked: list[Any] = [(CUDA, {"use_tf32": 0})] if provider == CUDA else [CPU]
    try:
        session = open_session(graph, threads=threads, providers=asked, log_severity=WARNINGS)
    except Exception as error:  # ONNX Runtime raises its own unrelated classes for each way a graph can be broken
        named = graph if isinstance(graph, Path) else "the encoder"
        raise EncoderUnavailable(f"{named} cannot be run on {provider}: {error}") from error
    reject_fallback(provider, session.get_providers())
    return session


def _read_document(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not (folder / "model.onnx").is_file() or not path.is_file():
        raise EncoderUnavailable(
            f"{folder} is not an encoder folder: it must hold model.onnx and config.json "
            f"(python -m models.encoder.export --checkpoint GEM_FOLDER {folder})"
        )
    document: dict[str, Any] = json.loads(path.read_text())
    missing = {"name", "weights", "trained", "tower"} - set(document)
    if missing:
        raise EncoderUnavailable(f"{path} is not an encoder's configuration: {', '.join(sorted(missing))} missing")
    return document


def _check_digest(graph: Path, expected: str) -> None:
    found = file_digest(graph)
    if found != expected:
        raise EncoderUnavailable(
            f"{graph} is corrupt or another file: its digest is {found}, config.json says "
            f"{expected}; {graph.stat().st_size} bytes; copy or export it again"
        )
