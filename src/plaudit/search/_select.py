"""One answer out of each group, picked by a reward, by a vote, or by both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Literal, get_args

from plaudit.errors import ContractError, DataError
from plaudit.reward import Reward
from plaudit.types import Context, Sample

Selection = Literal["best", "majority", "weighted"]


@dataclass(frozen=True, slots=True)
class Choice:
    """The pick of one group.

    Fields:
        group: the group's name; the prompt's own where samples carry none.
        index: place of the picked sample among all samples given.
        support: what spoke for it: its reward, the number of votes, or the sum of weights. None = nothing did, for no
            sample of the group was scored (or had an answer); the first one is then returned.
        tied: another answer had the same support; the earlier sample was taken.
    """

    group: str
    index: int
    support: float | None
    tied: bool


def select(
    samples: Sequence[Sample],
    reward: Reward | None = None,
    method: Selection = "best",
    answer: Callable[[Sample], str | None] | None = None,
    context: Context | None = None,
) -> list[Choice]:
    """Pick one sample of each group.

    Args:
        samples: candidates; those with the same `group`, or without one the same prompt, compete.
        reward: scores them; not needed for a majority vote.
        method: ``"best"`` = the highest reward; ``"majority"`` = the most frequent answer; ``"weighted"`` = the answer with the
            highest sum of rewards, which must not be negative.
        answer: reads the answer that a vote counts; None = the verdict's `answer`, for which a reward is needed.

    Returns a choice for each group, in the order of their first samples. Unscored samples are never picked while a scored one is
    there, and their weight is 0.

    Raises ContractError for another method, and when the method lacks a reward or an answer; DataError for a negative weight.

    Source: "Self-Consistency Improves Chain of Thought Reasoning in Language Models"; "Training Verifiers to Solve Math Word
    Problems".

    >>> from plaudit.verify import Math
    >>> samples = [Sample("1+1?", text, reference="2") for text in ("#### 3", "#### 2")]
    >>> select(samples, Math())
    [Choice(group='1+1?', index=1, support=1.0, tied=False)]
    """
    if method not in get_args(Selection):
        raise ContractError(f"select: method is {method!r}: expected one of {', '.join(map(repr, get_args(Selection)))}")
    if reward is None and (method != "majority" or answer is None):
        raise ContractError(f"select(method={method!r}) needs a reward" + (" or answer=" if method == "majority" else ""))
    verdicts = None if reward is None else reward.score(samples, context)
    values = [None] * len(samples) if verdicts is None else [verdict.value for verdict in verdicts]
    answers: list[str | None] = [None] * len(samples)
    if method != "best":
        read = answer or (lambda sample: None)
        answers = (
            [read(sample) for sample in samples]
            if answer is not None or verdicts is None
            else [verdict.answer for verdict in verdicts]
        )
    groups: dict[str, list[int]] = {}
    for k, sample in enumerate(samples):
        groups.setdefault(sample.group if sample.group is not None else str(sample.prompt), []).append(k)
    return [_choice(name, members, _supports(members, values, answers, method)) for name, members in groups.items()]


def _supports(
    members: Sequence[int], values: Sequence[float | None], answers: Sequence[str | None], method: Selection
) -> dict[int, tuple[object, float]]:
    """By sample: what it stands for and what speaks for that; samples that cannot be picked are left out."""
    if method == "best":
        return {k: (k, value) for k in members if (value := values[k]) is not None}
    votes: dict[str, list[float]] = {}
    for k in members:
        said, value = answers[k], 1.0 if method == "majority" else values[k]
        if said is None or value is None:
            continue
        if value < 0:
            raise DataError(f"sample {k}: its weight in the vote is {value}: expected a reward of at least 0")
        votes.setdefault(said, []).append(value)
    totals = {said: fsum(given) for said, given in votes.items()}  # the same in every order
    return {k: (said, totals[said]) for k in members if (said := answers[k]) is not None and said in totals}


def _choice(group: str, members: Sequence[int], supports: dict[int, tuple[object, float]]) -> Choice:
    if not supports:
        return Choice(group, members[0], None, False)
    best = max(supports.values(), key=lambda pair: pair[1])[1]
    winners = [k for k, (_, support) in supports.items() if support == best]
    return Choice(group, winners[0], best, len({supports[k][0] for k in winners}) > 1)
