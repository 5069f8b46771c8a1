"""ONNX Runtime without telemetry: every part of the program imports it here.

Version 1.32 writes a queue of events with a device id and the model of the CPU to the home folder when it is imported,
before `disable_telemetry_events` can be called. The variable ``ORT_DISABLE_TELEMETRY``, which it reads at that import,
prevents it.
"""

from __future__ import annotations

import os
from typing import Any

VARIABLE = "ORT_DISABLE_TELEMETRY"


def onnx_runtime() -> Any:
    """The module ``onnxruntime``; raises ImportError where it is not installed."""
    os.putenv(VARIABLE, "1")  # for the library; this program reads no variable below its settings
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # where another package imported it first
    return onnxruntime
