"""Grounding: claims of a text about an ECG, checked by measurements at a named lead and time."""
