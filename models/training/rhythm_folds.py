"""Folds of the recordings that have no fold table: VFDB and CUDB, by patient.

VFDB 425 and 605 are one recording digitised twice; 418 and 419 look like one patient. Each pair is in one fold, and the
patients with fibrillation, flutter, tachycardia and asystole are spread over the folds. Each CUDB record is a patient.
"""

from __future__ import annotations

FOLDS = 5
VFDB_FOLDS = {
    "418": 0,
    "419": 0,
    "610": 0,
    "424": 1,
    "607": 1,
    "426": 2,
    "614": 2,
    "609": 3,
    "602": 3,
    "425": 3,
    "605": 3,
    "421": 4,
    "615": 4,
}


def fold_of(source: str, record: str) -> int:
    """Fold of a record of ``vfdb`` or ``cudb``.

    >>> fold_of("vfdb", "605"), fold_of("cudb", "cu13")
    (3, 3)
    """
    return VFDB_FOLDS[record] if source == "vfdb" else int(record.removeprefix("cu")) % FOLDS
