"""History checker: plants lethal conditions, breaks processes, brokers and networks, and proves what stations heard.

`plan` makes the signals, `site` runs the processes, `station` reads and sounds as a nurse station does, `faults` makes
a schedule out of a seed, `checker` proves the guarantees of docs/delivery.md on what was recorded. ``python -m
tests.history`` runs many schedules and appends them to benchmarks/history.md.
"""
