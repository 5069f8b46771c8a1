"""Labelled ECG corpora: real 12-lead and single-lead records, their findings and measurements, split by patient."""
