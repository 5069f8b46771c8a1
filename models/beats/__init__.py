"""Beats: detection, morphology correlation, the dominant-beat template, the series of a bed's beats."""
