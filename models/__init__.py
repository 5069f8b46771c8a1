"""Computations on arrays: signals in; beats, measurements, alarm conditions, features and interpretations out.

Nothing here knows Kafka, Redis, the wall clock or an environment variable. Arrays are ``float32 [leads, samples]`` in
millivolts. The public verbs load on first use, so that ``import models`` needs no third-party package:

* `find_beats`: heart beats of a record;
* `measure`: beats, waves and intervals of a record or a part of it;
* `find_episodes`: alarm conditions of a record, as a live bed would find them;
* `encode`: ECG-CoCa features of each 10-s window.

>>> import models
>>> models.measure.__module__
'models.measurement.measure'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.arrhythmia.tier import find_episodes
    from models.beats.detector import find_beats
    from models.encoder.encode import encode
    from models.measurement.measure import measure

__all__ = ["encode", "find_beats", "find_episodes", "measure"]

_MODULES = {
    "encode": "models.encoder.encode",
    "find_beats": "models.beats.detector",
    "find_episodes": "models.arrhythmia.tier",
    "measure": "models.measurement.measure",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'models' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
