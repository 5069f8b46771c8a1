"""Training of the shipped weights: pre-training, alignment, instruction tuning, networks of beats and rhythm."""
