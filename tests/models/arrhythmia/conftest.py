"""Each rule that a criterion prints in these tests is one that the verifier knows: no true alert looks false to it."""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import Any

import pytest

import models.arrhythmia
from verification.tables import CODES

USERS = [
    module
    for found in pkgutil.walk_packages(models.arrhythmia.__path__, "models.arrhythmia.")
    if hasattr(module := importlib.import_module(found.name), "criterion_of")
]


@pytest.fixture(autouse=True)
def rules_are_known_to_the_verifier(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in USERS:
        plain = module.criterion_of

        def checked(code: str, rule: str, *given: Any, plain: Any = plain, **named: Any) -> Any:
            known = CODES.get(code, {}).get("rule", "")
            assert re.search(known, rule), f"the verifier does not know the rule {rule!r} of {code}"
            return plain(code, rule, *given, **named)

        monkeypatch.setattr(module, "criterion_of", checked)
