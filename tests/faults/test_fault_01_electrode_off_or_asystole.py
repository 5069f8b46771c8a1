"""Fault 1: a flat line from an electrode that is off is not asystole; a flat line from an attached one may be."""

from __future__ import annotations

import numpy as np

from models.beats.detector import BeatStream
from models.ecg import Ecg
from models.signal.quality import DETACHED, FLAT


def stream_of(leads_off: tuple[str, ...]) -> BeatStream:
    flat = 0.02 + np.random.default_rng(1).normal(0, 0.002, (1, 2500)).astype(np.float32)
    stream = BeatStream(("II",), 250.0)
    assert stream.push(Ecg(("II",), 250.0, flat, leads_off=leads_off)) == []
    return stream


def test_flat_line_of_an_attached_lead_has_no_beat_and_is_usable() -> None:
    stream = stream_of(leads_off=())
    assert stream.quality["II"].state == FLAT
    assert stream.usable_leads == ("II",)
    assert stream.pending == []


def test_flat_line_of_a_detached_lead_has_no_beat_and_may_not_speak() -> None:
    stream = stream_of(leads_off=("II",))
    assert stream.quality["II"].state == DETACHED
    assert stream.usable_leads == ()
