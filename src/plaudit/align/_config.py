"""What a run of group-relative policy optimization is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any, Literal, get_args

from plaudit.credit import NORMALIZATIONS, Normalization
from plaudit.errors import SpecError

Aggregation = Literal["token", "sequence", "constant"]
Truncated = Literal["keep", "mask", "drop"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class GrpoConfig:
    """The settings of `grpo`; the defaults train the shipped arithmetic policy in about a minute.

    Fields:
        steps: batches of answers that are drawn and learned from.
        prompts_per_step, group_size: prompts of a batch, and answers to each.
        learning_rate: the highest; it rises over `warmup_steps` and falls in a straight line to 0 at the end.
        warmup_steps: 0 = starts at the highest.
        betas, weight_decay: of AdamW.
        gradient_clip: norm that the gradient is cut to; None = it is not.
        normalize: how rewards become advantages within a group, see `plaudit.credit.group_advantage`.
        clip_low, clip_high: the ratio of new to old probability counts from 1 - clip_low to 1 + clip_high. None = no clipping
            on that side.
        aggregation: what a token weighs. ``"token"``: every token of the batch alike (DAPO). ``"sequence"``: every answer alike,
            its tokens share its weight (GRPO). ``"constant"``: every token 1 / (answers * max_tokens) (Dr. GRPO).
        kl_coefficient: weight of the KL divergence to the reference policy (estimator k3), 0 = none.
        kl_every: steps between measurements of that divergence where it is not in the objective; None = never measured.
        epochs, minibatches: passes over a batch, and updates in each pass.
        temperature: of the draws; the objective reads the same distribution.
        max_tokens: of one answer; None = up to the model's context.
        truncated: answers cut at max_tokens are learned from (``"keep"``), give a baseline but no gradient (``"mask"``), or are
            left out as if they had no reward (``"drop"``).
        max_failure_rate: share of FAILED answers over the last `failure_window` steps above which the run ends.
        checkpoint_every: steps between checkpoints; None = only the last step is kept.
        keep_checkpoints: the newest that stay on the disk.
        evaluate_every: steps between evaluations; None = before the first step and after the last.
        precision: of the forward pass; weights are float32 always.
        rows: answers in one forward pass; bounds the memory, changes nothing else.
        seed: of prompts, draws, minibatches and rewards.

    Raises SpecError for a field out of range.

    Source: "DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models"; "DAPO: An Open-Source LLM
    Reinforcement Learning System at Scale"; "Understanding R1-Zero-Like Training: A Critical Perspective".

    >>> GrpoConfig(group_size=1)
    Traceback (most recent call last):
    plaudit.errors.SpecError: GrpoConfig.group_size is 1: expected a whole number from 2 on
    """

    steps: int = 80
    prompts_per_step: int = 32
    group_size: int = 8
    learning_rate: float = 2e-4
    warmup_steps: int = 5
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    gradient_clip: float | None = 1.0
    normalize: Normalization = "std"
    clip_low: float | None = 0.2
    clip_high: float | None = 0.2
    aggregation: Aggregation = "token"
    kl_coefficient: float = 0.0
    kl_every: int | None = 10
    epochs: int = 1
    minibatches: int = 1
    temperature: float = 1.0
    max_tokens: int | None = 96
    truncated: Truncated = "keep"
    max_failure_rate: float = 0.5
    failure_window: int = 10
    checkpoint_every: int | None = None
    keep_checkpoints: int = 2
    evaluate_every: int | None = None
    precision: Precision = "float32"
    rows: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        for names, least in _WHOLE_NUMBERS.items():
            for name in names.split():
                value = getattr(self, name)
                if value is None and name in _MAY_BE_NONE:
                    continue
                if type(value) is not int or value < least:
                    raise SpecError(f"GrpoConfig.{name} is {value!r}: expected a whole number from {least} on")
        for name, (expected, holds) in _NUMBERS.items():
            value = getattr(self, name)
            if value is None and name in _MAY_BE_NONE:
                continue
            if not isinstance(value, (int, float)) or not holds(value):
                raise SpecError(f"GrpoConfig.{name} is {value!r}: expected {expected}")
        for name, options in _OPTIONS.items():
            if getattr(self, name) not in options:
                raise SpecError(f"GrpoConfig.{name} is {getattr(self, name)!r}: expected one of {', '.join(options)}")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise SpecError(f"GrpoConfig.betas is {self.betas!r}: expected two numbers from 0 to under 1")
        if self.minibatches > self.prompts_per_step * self.group_size:
            raise SpecError(
                f"GrpoConfig.minibatches is {self.minibatches}, but a batch has {self.prompts_per_step * self.group_size} answers"
            )

    def rate(self, step: int) -> float:
        """The learning rate of step 0, 1, ..., steps - 1."""
        rise = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        return self.learning_rate * rise * (1 - step / self.steps)


_WHOLE_NUMBERS = {
    "steps prompts_per_step epochs minibatches max_tokens failure_window rows checkpoint_every evaluate_every kl_every": 1,
    "keep_checkpoints": 1,
    "group_size": 2,
    "warmup_steps seed": 0,
}
_MAY_BE_NONE = {"max_tokens", "checkpoint_every", "evaluate_every", "kl_every", "gradient_clip", "clip_low", "clip_high"}
_NUMBERS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "learning_rate": ("a positive number", lambda x: 0 < x < inf),
    "weight_decay": ("a number from 0 on", lambda x: 0 <= x < inf),
    "gradient_clip": ("a positive number, or None", lambda x: 0 < x < inf),
    "clip_low": ("a number from 0 to 1, or None", lambda x: 0 <= x <= 1),
    "clip_high": ("a number from 0 on, or None", lambda x: 0 <= x < inf),
    "kl_coefficient": ("a number from 0 on", lambda x: 0 <= x < inf),
    "temperature": ("a positive number", lambda x: 0 < x < inf),
    "max_failure_rate": ("a share from 0 to 1", lambda x: 0 <= x <= 1),
}
_OPTIONS: dict[str, tuple[str, ...]] = {
    "normalize": tuple(NORMALIZATIONS),
    "aggregation": get_args(Aggregation),
    "truncated": get_args(Truncated),
    "precision": get_args(Precision),
}
