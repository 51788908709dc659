"""One response, one call, one score with its reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from plaudit.errors import ModelError, SpecError
from plaudit.judge._control import CONTROL_PROMPT, CONTROL_REFERENCE, CONTROL_RESPONSE, Control, ControlCalls
from plaudit.judge._models import JudgeModel
from plaudit.judge._prompt import DEFAULT_CRITERIA, PROMPT_VERSION, judge_messages, reference_text, verdict_schema
from plaudit.judge._reply import Unreadable, read_grade
from plaudit.lm import BudgetSpent, CallError, DeadlinePassed, ModelRateLimited, ModelRejected, ModelReplyError, ModelUnreachable
from plaudit.reward import Facts, Reward, address_field
from plaudit.text import Read, final_text
from plaudit.types import Completion, Context, Cost, LanguageModel, Sample, Sampling, Verdict

_LONGEST_KEPT = 20_000  # characters of a reply that the verdict keeps
_HEAD_START = 0.02  # seconds before the deadline, so that the verdict that says so arrives before it
_REASONS: tuple[tuple[type[CallError], str], ...] = (
    (DeadlinePassed, "deadline_passed"),
    (BudgetSpent, "budget_spent"),
    (ModelRateLimited, "judge_rate_limited"),
    (ModelRejected, "judge_rejected"),
    (ModelUnreachable, "judge_unreachable"),
)


@dataclass(frozen=True)
class Pointwise(Reward):
    """A language model grades each response by itself on stated criteria: reasoning first, then a whole number on a scale.

    Fields:
        model: address of the judge (``"openai:NAME"``), or the name of a model in `Context.models` with a colon
            (``"policy:"``), or a language model.
        criteria: what is graded, in plain words.
        scale: lowest and highest score.
        normalize: map the scale to [0, 1]; False = the score itself is the value.
        read: ``"final"`` = the last message after its thinking part; ``"whole"`` = everything the policy wrote.
        with_reference: show `Sample.reference` to the judge; a sample without one is FAILED ``reference_missing``.
        temperature: 0 = as deterministic as the model is.
        max_tokens: of the judge's reply, with its thinking.
        max_characters: a longer response is not shown: SCORED at the bottom, ``response_too_large``.
        base_url: endpoint of an ``openai:`` judge; None = as `plaudit.lm.OpenAIModel` finds it.

    A response is fenced, so that it cannot end its own quotation. An empty response and an unclosed thought are SCORED at the
    bottom without a call. When a reply cannot be read, a control call on a fixed harmless response tells whose fault it is:
    FAILED ``judge_unparsable`` (this response's reply) or ``judge_broken`` (the judge's). `explanation` is the judge's
    reasoning; `details` hold the raw reply, the score and the digest of the messages.

    Raises SpecError for a field outside these.
    Source: Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena (single-answer grading).

    >>> Pointwise(model="openai:gpt-4o-mini", scale=(0, 4), normalize=False).facts.range
    (0.0, 4.0)
    """

    model: str | LanguageModel
    criteria: str = DEFAULT_CRITERIA
    scale: tuple[int, int] = (1, 10)
    normalize: bool = True
    read: Read = "final"
    with_reference: bool = False
    temperature: float = 0.0
    max_tokens: int = 2048
    max_characters: int = 100_000
    base_url: str | None = address_field(default=None)

    example: ClassVar[Mapping[str, Any]] = {"model": "openai:gpt-4o-mini"}

    def __post_init__(self) -> None:
        whole = [x for x in self.scale if isinstance(x, int) and not isinstance(x, bool)]
        if len(whole) != 2 or len(self.scale) != 2 or not whole[0] < whole[1]:
            raise SpecError(f"scale is {self.scale!r}: expected two whole numbers, the lowest score and the highest")
        if not isinstance(self.criteria, str) or not self.criteria.strip():
            raise SpecError("criteria is empty: say in plain words what is graded")
        if self.read not in ("final", "whole"):
            raise SpecError(f"read is {self.read!r}: expected 'final' or 'whole'")
        if not self.temperature >= 0:
            raise SpecError(f"temperature is {self.temperature!r}: expected a number of at least 0")
        for name in ("max_tokens", "max_characters"):
            if not getattr(self, name) >= 1:
                raise SpecError(f"{name} is {getattr(self, name)!r}: expected at least 1")
        object.__setattr__(self, "_judge", JudgeModel(self.model, self.base_url))
        object.__setattr__(self, "_controls", ControlCalls())

    @property
    def facts(self) -> Facts:
        """The range is (0, 1), or the scale; reads the reference only when told to; io lane."""
        low, high = self.scale
        reads = {"prompt", "response"} | ({"reference"} if self.with_reference else set()) | self._judge_model.reads
        return Facts(
            range=(0.0, 1.0) if self.normalize else (float(low), float(high)),
            reads=frozenset(reads),
            lane="io",
            deterministic=self.temperature == 0,
            version=PROMPT_VERSION,
        )

    def identity(self) -> Mapping[str, Any]:
        """All fields, with the model's version instead of where it is reached."""
        return {**super().identity(), "model": self._judge_model.identity}

    def messages(self, sample: Sample) -> list[dict[str, str]]:
        """What the judge is asked about a sample; `details["prompt_sha256"]` is the digest of its JSON."""
        reference = reference_text(sample.reference) if self.with_reference else None
        return judge_messages(self.criteria, self.scale, sample.prompt, final_text(sample, self.read) or "", reference)

    async def ascore_one(self, sample: Sample, context: Context) -> Verdict:
        """Grade one response with one call."""
        text = final_text(sample, self.read)
        early = self._without_call(sample, text)
        if early is not None or text is None:
            return early or self._bottom("response_unclosed_thought")
        model = self._judge_model.resolve(context)
        messages = self.messages(sample)
        details: dict[str, Any] = {"judge": model.version or model.address, "prompt_sha256": _digest(messages)}
        try:
            completion = await self._ask(model, messages, context)
        except ModelReplyError as error:
            return await self._unreadable(model, str(error), error.cost, details, context)
        except CallError as error:
            return _failed(error, error.cost, details)
        details |= {"reply": completion.text[:_LONGEST_KEPT], "finish": completion.finish, "attempts": completion.cost.calls}
        try:
            grade = read_grade(completion, self.scale, text)
        except Unreadable as error:
            return await self._unreadable(model, str(error), completion.cost, details, context)
        low, high = self.scale
        value = (grade.score - low) / (high - low) if self.normalize else float(grade.score)
        details |= {"score": grade.score, "scale": [low, high]}
        explanation = grade.reasoning or completion.reasoning
        return Verdict(value, explanation=explanation, details=details, cost=completion.cost)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name not in ("_judge", "_controls")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _judge=JudgeModel(state["model"], state["base_url"]), _controls=ControlCalls())

    @property
    def _judge_model(self) -> JudgeModel:
        judge: JudgeModel = self.__dict__["_judge"]
        return judge

    def _without_call(self, sample: Sample, text: str | None) -> Verdict | None:
        if self.with_reference and reference_text(sample.reference) is None:
            return Verdict.failed("reference_missing")
        if text is None:
            return self._bottom("response_unclosed_thought")
        if not text.strip():
            return self._bottom("response_empty")
        if len(text) > self.max_characters:
            said = f"{len(text)} characters, at most {self.max_characters} are shown to the judge"
            return self._bottom("response_too_large", said)
        return None

    def _bottom(self, reason: str, explanation: str | None = None) -> Verdict:
        return Verdict(0.0 if self.normalize else float(self.scale[0]), reason=reason, explanation=explanation)

    async def _ask(self, model: LanguageModel, messages: list[dict[str, str]], context: Context) -> Completion:
        schema = verdict_schema(self.scale) if "schema" in model.abilities else None
        sampling = Sampling(temperature=self.temperature, max_tokens=self.max_tokens, schema=schema)
        deadline = None if context.deadline is None else context.deadline - _HEAD_START
        drawn = await model.agenerate([messages], 1, sampling, deadline=deadline)
        return drawn[0][0]

    async def _unreadable(
        self, model: LanguageModel, problem: str, cost: Cost, details: Mapping[str, Any], context: Context
    ) -> Verdict:
        """FAILED, as this response's fault or the judge's: the control call decides."""
        spent = [cost]

        async def ask() -> Control:
            reference = CONTROL_REFERENCE if self.with_reference else None
            messages = judge_messages(self.criteria, self.scale, CONTROL_PROMPT, CONTROL_RESPONSE, reference)
            try:
                completion = await self._ask(model, messages, context)
                spent.append(completion.cost)
                read_grade(completion, self.scale, CONTROL_RESPONSE)
            except ModelReplyError as error:
                spent.append(error.cost)
                return Control(str(error))
            except Unreadable as error:
                return Control(str(error))
            return Control(None)

        controls: ControlCalls = self.__dict__["_controls"]
        try:
            control = await controls.outcome((id(model), model.version), ask)
        except CallError as error:
            said = f"{problem}; whether the judge can be read at all is unknown, because the control call failed: {error}"
            return _failed(error, sum(spent, Cost()), details, said)
        details = {**details, "control": control.problem or "readable"}
        if control.problem is None:
            return Verdict.failed("judge_unparsable", problem, details=details, cost=sum(spent, Cost()))
        said = f"{problem}; nor can its reply to a control call be read: {control.problem}"
        return Verdict.failed("judge_broken", said, details=details, cost=sum(spent, Cost()))


def _failed(error: CallError, cost: Cost, details: Mapping[str, Any], explanation: str | None = None) -> Verdict:
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return Verdict.failed(reason, explanation or str(error), details=details, cost=cost)
    raise ModelError(str(error)) from error


def _digest(messages: list[dict[str, str]]) -> str:
    return hashlib.sha256(json.dumps(messages, sort_keys=True).encode()).hexdigest()
