"""GEM as the interpreter sees it: a segment in, its prose out, or the reason why not."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import models
from agents.interpreter.interpretation_queue import URGENCY
from agents.settings import Settings
from models.arrhythmia.codes import CODES
from models.ecg import Ecg
from models.encoder.session import EncoderUnavailable
from models.evidence import Evidence
from models.gem.conversation import GROUNDED_QUESTION, question_with_alarm
from models.gem.errors import GemUnavailable
from models.gem.estimates import NOT_READABLE
from models.gem.prompt_context import FindingPredictor, PromptContext, build_prompt_context
from models.grounding.interpretation import ModelIdentity

if TYPE_CHECKING:
    from models.gem.engine import GemEngine
    from models.gem.request import GemAnswer
    from models.grounding.segment_measurements import SegmentMeasurements

log = logging.getLogger(__name__)

INDEPENDENT_LEADS = 8  # the published GEM never saw fewer
CPU_THREADS = 1  # of torch: the other core belongs to the alarms
UNSEEN_FOLD = 4  # of the recordings' folds, the one that never trained the compact GEM
COMPACT_FOLDER = Path(models.__file__).parent / "weights" / "gem-compact"


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
        self,
        ecg: Ecg,
        given: Sequence[Evidence],
        measured: SegmentMeasurements,
        *,
        deadline_s: float,
        priority: str,
        tokens: int,
        code: str = "",
    ) -> tuple[str, float]:
        """The prose on a segment, whose measurements are ``measured``, and the seconds that it took.

        Raises `GemUnavailable` where it cannot be had.
        """

    async def close(self) -> None:
        """Stop reading."""


def load_gem(settings: Settings) -> EngineReader:
    """Load GEM from the folder of the settings, or the compact one that is shipped."""
    from models.gem.engine import GemEngine

    folder = settings.model or COMPACT_FOLDER
    if settings.model is None and settings.fold not in (None, UNSEEN_FOLD):
        why = f"the compact GEM was trained on fold {settings.fold}; it never saw fold {UNSEEN_FOLD}"
        raise GemUnavailable(why, lasting=True)
    if not folder.is_dir():
        why = f"there is no GEM checkpoint at {folder.name}: name its folder in GEM_BEDSIDE_MODEL"
        raise GemUnavailable(why, lasting=True)
    engine = GemEngine.load(
        folder, settings.device, settings.gem_precision, threads=CPU_THREADS, queue_limit=settings.gem_queue
    )
    if not engine.card.trained:
        engine.close()
        why = f"the weights of {engine.card.name} were never trained: their text has no meaning"
        raise GemUnavailable(why, lasting=True)
    document = json.loads((folder / "config.json").read_text())
    leads = int(document.get("independent_leads", INDEPENDENT_LEADS))
    if not document.get("evidence_in_prompt", False):
        return EngineReader(engine, leads)
    return PromptContextReader(engine, leads, _findings(settings))


def _findings(settings: Settings) -> FindingPredictor | None:
    """The encoder's heads, whose findings go into the prompt of a compact GEM; None where they are missing."""
    try:
        return FindingPredictor.load(settings.encoder, threads=CPU_THREADS)
    except (EncoderUnavailable, ValueError) as missing:
        log.warning("the prompt context has no findings: %s", missing)
        return None


class EngineReader:
    """`models.gem.engine.GemEngine` as a `GemReader`; its question names the alarm and the alarm's evidence."""

    alarm_in_prompt = True

    def __init__(self, engine: GemEngine, independent_leads: int = INDEPENDENT_LEADS) -> None:
        card = engine.card
        self._engine = engine
        self.identity = ModelIdentity(card.name, card.weights, card.precision, card.device)
        self.independent_leads = independent_leads
        self.answered: Callable[[GemAnswer], None] | None = None  # for the metrics

    async def read(
        self,
        ecg: Ecg,
        given: Sequence[Evidence],
        measured: SegmentMeasurements,
        *,
        deadline_s: float,
        priority: str,
        tokens: int,
        code: str = "",
    ) -> tuple[str, float]:
        """Ask the engine; raises `GemUnavailable` where it cannot answer in time, or reads no ECG."""
        from models.gem.request import GemRequest

        context = await asyncio.to_thread(self._prompt_context, ecg, measured, bool(given))
        if context.unsuitable:
            raise GemUnavailable(context.unsuitable, lasting=False)
        alarm = CODES.get(code) if self.alarm_in_prompt and given else None
        request = GemRequest(
            ecg,
            GROUNDED_QUESTION if alarm is None else question_with_alarm(GROUNDED_QUESTION, alarm.title, given),
            measurements=context.measurements,
            descriptors=context.descriptors,
            findings=context.findings,
            deadline_s=deadline_s,
            max_new_tokens=tokens,
            urgency=len(URGENCY) - URGENCY[priority],
        )
        answer = await self._engine.answer(request)
        if self.answered is not None:
            self.answered(answer)
        if NOT_READABLE in answer.text:
            raise GemUnavailable("it finds no ECG in the first 10 s of the segment", lasting=False)
        return answer.text, answer.seconds

    async def close(self) -> None:
        """Stop the engine."""
        await asyncio.to_thread(self._engine.close)

    def _prompt_context(self, ecg: Ecg, measured: SegmentMeasurements, alarmed: bool) -> PromptContext:
        """The prompt context of a segment: empty."""
        return PromptContext((), (), None)


class PromptContextReader(EngineReader):
    """The compact GEM: its prompt has the measurements and the encoder's findings, as in its training.

    It was trained without alarms: its text opens with the alarm's sentence by rule, and what opposes this is left out.
    """

    alarm_in_prompt = False

    def __init__(self, engine: GemEngine, independent_leads: int, findings: FindingPredictor | None) -> None:
        super().__init__(engine, independent_leads)
        self._findings = findings

    def _prompt_context(self, ecg: Ecg, measured: SegmentMeasurements, alarmed: bool) -> PromptContext:
        return build_prompt_context(ecg, self._findings, measured, alarmed=alarmed)
