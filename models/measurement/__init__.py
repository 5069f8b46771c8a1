"""Measurements: wave delineation, intervals, axis and beat-level features."""
