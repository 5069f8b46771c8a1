"""Scores: the reference's metrics with their quirks, a strict variant beside each, and parity with the reference."""
