"""Can a worse response, edited, outrank a better one?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import ContractError
from plaudit.reward import Reward
from plaudit.stats import wilson_interval
from plaudit.stress._edits import Edit
from plaudit.text import final_text
from plaudit.types import Context, Sample


@dataclass(frozen=True, slots=True)
class Outranking:
    """What one edit does to a reward.

    Fields:
        edit: name of the edit; "unedited" is the reward's own error rate, which the others are to be compared with.
        success: share of pairs in which the worse response, edited, gets more reward than the better one.
        low, high: 95% Wilson interval of `success`.
        n: pairs that counted: both sides scored, the edited response still worse by the gold reward and changed by the edit.
        worked: up to 3 pairs (better, worse edited) on which it worked, those with the largest gain first.
    """

    edit: str
    success: float
    low: float
    high: float
    n: int
    worked: tuple[tuple[Sample, Sample], ...]


def outranking(
    reward: Reward, gold: Reward, samples: Sequence[Sample], edits: Mapping[str, Edit], context: Context | None = None
) -> list[Outranking]:
    """How often an edited worse response outranks a better one, for each edit.

    Of every group the response with the highest and the one with the lowest gold reward make a pair; groups whose gold rewards
    are all equal make none. An edit that makes the response as good as the better one, by the gold reward, does not count.

    Args:
        reward: the reward under attack.
        gold: what is true of the responses.
        samples: responses in groups, by `group` or else by prompt; their `response` must be a text, or chats of which the final
            text is edited.
        edits: by name.

    Returns one entry for "unedited" and one for each edit, in their order. `success` is NaN where no pair counted.

    Raises ContractError when no group has a better and a worse response.

    >>> from plaudit.stress import PROSE_EDITS
    >>> from plaudit.reward import reward
    >>> longer = reward(lambda response: float(len(response)), range=(0, float("inf"))).named("longer")
    >>> right = reward(lambda response: float("4" in response), range=(0, 1)).named("right")
    >>> samples = [Sample("2+2?", "It is 4 I think", group="a"), Sample("2+2?", "It is 5", group="a")]
    >>> [(r.edit, r.success) for r in outranking(longer, right, samples, {"said twice": PROSE_EDITS["said twice"]})]
    [('unedited', 0.0), ('said twice', 1.0)]
    """
    pairs = better_and_worse(samples, gold.score(samples, context).values)
    better, worse = [samples[a] for a, _ in pairs], [samples[b] for _, b in pairs]
    bar, gold_bar = reward.score(better, context).values, gold.score(better, context).values
    results = []
    for name, edit in {"unedited": _unchanged, **edits}.items():
        changed = [edited(sample, edit) for sample in worse]
        values, truth = reward.score(changed, context).values, gold.score(changed, context).values
        moved = np.array([name == "unedited" or a.response != b.response for a, b in zip(changed, worse, strict=True)])
        # Comparisons with NaN are false: what was not scored does not count.
        counts = (truth < gold_bar) & np.isfinite(values) & np.isfinite(bar) & moved
        results.append(outranked(name, better, changed, bar, values, counts))
    return results


def outranked(
    name: str,
    better: Sequence[Sample],
    worse: Sequence[Sample],
    bar: NDArray[np.float64],
    values: NDArray[np.float64],
    counts: NDArray[np.bool_],
) -> Outranking:
    """The result of an attack: in how many of the pairs that count the worse response's value lies above the bar."""
    wins = counts & (values > bar)
    n, k = int(counts.sum()), int(wins.sum())
    low, high = wilson_interval(k, n) if n else (float("nan"), float("nan"))
    order = np.flatnonzero(wins)[np.argsort(-(values - bar)[wins], kind="stable")][:3].tolist()
    return Outranking(name, k / n if n else float("nan"), low, high, n, tuple((better[j], worse[j]) for j in order))


def group_of(sample: Sample) -> str:
    """What a sample competes in: its group, or else its prompt."""
    return sample.group if sample.group is not None else str(sample.prompt)


def _unchanged(response: str) -> str:
    return response


def better_and_worse(samples: Sequence[Sample], gold: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Places of the best and the worst sample of each group by the gold reward, where they differ.

    Raises ContractError when there is no such group.
    """
    groups: dict[str, list[int]] = {}
    for k, sample in enumerate(samples):
        if np.isfinite(gold[k]):
            groups.setdefault(group_of(sample), []).append(k)
    ends = [(max(members, key=lambda k: gold[k]), min(members, key=lambda k: gold[k])) for members in groups.values()]
    pairs = [(a, b) for a, b in ends if gold[a] > gold[b]]
    if not pairs:
        raise ContractError("no group has a better and a worse response by the gold reward: give groups of unequal ones")
    return pairs


def text_of(sample: Sample) -> str:
    """The text that an edit changes."""
    return sample.response if isinstance(sample.response, str) else final_text(sample, "whole") or ""


def edited(sample: Sample, edit: Edit) -> Sample:
    """The sample with its response edited; tokens and log-probabilities no longer belong to it."""
    text = text_of(sample)
    changed = edit(text)
    if changed == text:
        return sample
    return replace(sample, response=changed, tokens=None, logprobs=None, id=None)
