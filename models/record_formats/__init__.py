"""Record formats: one reader a file format (WFDB, EDF and BDF, CSV), and the choice of the ECG channels of a file."""
