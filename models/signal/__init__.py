"""Signals: conditioning, quality per lead, pacing pulses, quantiles."""
