"""GEM as the interpreter sees it: a segment in, its prose out, or the reason why not."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Protocol

from agents.reading_queue import URGENCY
from agents.settings import Settings
from models.ecg import Ecg
from models.evidence import Evidence
from models.grounding.reading import ModelIdentity

INDEPENDENT_LEADS = 8  # the published GEM never saw fewer


class GemUnavailable(RuntimeError):  # noqa: N818  (what is the case; the text says why)
    """GEM is not to be had; the text says why and what to do."""


class GemReader(Protocol):
    """A loaded GEM.

    Attributes
    ----------
    identity : ModelIdentity
        For the interpretation's record.
    independent_leads : int
        Fewer are not for it.
    """

    identity: ModelIdentity
    independent_leads: int

    async def read(
        self, ecg: Ecg, given: Sequence[Evidence], *, deadline_s: float, priority: str, tokens: int
    ) -> tuple[str, float]:
        """The prose on a segment and the seconds that it took; `GemUnavailable` where it cannot be had."""

    async def close(self) -> None:
        """Stop reading."""


def load_gem(settings: Settings) -> GemReader:
    """Load GEM from the folder of the settings, or the compact one that is shipped."""
    try:
        engine = importlib.import_module("models.gem.engine")
    except ImportError as missing:
        raise GemUnavailable(f"GEM cannot be loaded ({missing}): install the extra `gem`") from missing
    try:
        return EngineReader(engine, engine.GemEngine.load(settings.model, settings.device))
    except engine.GemUnavailable as missing:
        raise GemUnavailable(str(missing)) from missing


class EngineReader:
    """`models.gem.engine.GemEngine` as a `GemReader`."""

    def __init__(self, module: Any, engine: Any) -> None:
        self._module = module
        self._engine = engine
        self.identity: ModelIdentity = engine.identity
        self.independent_leads = INDEPENDENT_LEADS

    async def read(
        self, ecg: Ecg, given: Sequence[Evidence], *, deadline_s: float, priority: str, tokens: int
    ) -> tuple[str, float]:
        """Ask the engine; what it raises as unavailable is told as such."""
        request = self._module.GemRequest(
            ecg=ecg, evidence=tuple(given), deadline_s=deadline_s, max_new_tokens=tokens, urgency=URGENCY[priority]
        )
        try:
            answer = await self._engine.ask(request)
        except self._module.GemUnavailable as missing:
            raise GemUnavailable(str(missing)) from missing
        return answer.text, answer.seconds

    async def close(self) -> None:
        """Stop the engine."""
        await self._engine.close()
