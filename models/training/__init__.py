"""How the shipped weights were made: corpora, knowledge-guided text, pre-training, alignment, instruction tuning."""
