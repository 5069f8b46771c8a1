"""The interpreter worker: flagged segments in, grounded interpretations out."""
