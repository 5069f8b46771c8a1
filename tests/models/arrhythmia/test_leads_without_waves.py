"""Leads that show nothing of the heart: flat ones beside others with activity, and detached ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.arrhythmia.tier import RhythmTier, update_chunks
from models.arrhythmia.views import RhythmViews
from models.ecg import Ecg
from tests.agents.signals import ecg

FS = 250.0
LEADS = ("II", "V1", "V5")


def views(*lines: float) -> RhythmViews:
    """Leads of these peak-to-peak amplitudes, mV, on a baseline of 60 mV, at a rail."""
    wave = np.sin(2 * np.pi * 4 * np.arange(round(20 * FS)) / FS) / 2
    mv = np.stack([60.0 + size * wave for size in lines]).astype(np.float32)
    return RhythmViews(Ecg(LEADS[: len(lines)], FS, mv), LEADS[: len(lines)])


def test_a_flat_lead_beside_one_with_activity_has_no_say_about_waves() -> None:
    assert views(0.0, 0.8, 0.01).leads == ("V1",)
    assert views(0.8, 0.5).leads == ("II", "V1")


def test_flat_leads_alone_are_all_that_there_is() -> None:
    assert views(0.0, 0.01).leads == ("II", "V1")
    assert views(0.0, 0.1).leads == ("II", "V1"), "too small for a QRS complex: a standstill with its noise"


def test_a_detached_electrode_that_floats_and_comes_back_adds_no_beat() -> None:
    clean = ecg(40, 30.0)  # a beat each 2 s
    rng = np.random.default_rng(2)
    floating = clean.mv.copy()
    floating[0, round(8 * FS) : round(20 * FS)] = 3.0 + rng.normal(0, 0.3, round(12 * FS))
    tier = RhythmTier(clean.leads, FS)
    beats: list[float] = []
    for k, chunk in enumerate(update_chunks(replace(clean, mv=floating))):
        result = tier.push(replace(chunk, leads_off=("II",)) if 8 <= k < 20 else chunk)
        beats += [beat.sample / FS for beat in result.beats]
    after = [at for at in beats if at > 9]
    assert np.allclose(np.diff(after), 2.0, atol=0.03), after
