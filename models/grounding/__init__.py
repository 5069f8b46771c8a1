"""Grounding: what a text says of an ECG, held against what the signal measures at a named lead and time."""
