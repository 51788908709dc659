"""Can a worse response, edited, outrank a better one?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

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
    pairs = _pairs(samples, gold(list(samples)) if context is None else gold.score(samples, context).values)
    if not pairs:
        raise ContractError(
            "outranking: no group has a better and a worse response by the gold reward: give groups of unequal ones"
        )
    better, worse = [samples[a] for a, _ in pairs], [samples[b] for _, b in pairs]
    bar, gold_bar = reward.score(better, context).values, gold.score(better, context).values
    results = []
    for name, edit in {"unedited": _unchanged, **edits}.items():
        changed = [_edited(sample, edit) for sample in worse]
        values, truth = reward.score(changed, context).values, gold.score(changed, context).values
        moved = np.array([name == "unedited" or a.response != b.response for a, b in zip(changed, worse, strict=True)])
        # Comparisons with NaN are false: what was not scored does not count.
        counts = (truth < gold_bar) & np.isfinite(values) & np.isfinite(bar) & moved
        wins = counts & (values > bar)
        n, k = int(counts.sum()), int(wins.sum())
        low, high = wilson_interval(k, n) if n else (float("nan"), float("nan"))
        order = np.flatnonzero(wins)[np.argsort(-(values - bar)[wins], kind="stable")][:3]
        worked = tuple((better[j], changed[j]) for j in order)
        results.append(Outranking(name, k / n if n else float("nan"), float(low), float(high), n, worked))
    return results


def _unchanged(response: str) -> str:
    return response


def _pairs(samples: Sequence[Sample], gold: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[tuple[int, int]]:
    groups: dict[str, list[int]] = {}
    for k, sample in enumerate(samples):
        if np.isfinite(gold[k]):
            groups.setdefault(sample.group if sample.group is not None else str(sample.prompt), []).append(k)
    ends = [(max(members, key=lambda k: gold[k]), min(members, key=lambda k: gold[k])) for members in groups.values()]
    return [(a, b) for a, b in ends if gold[a] > gold[b]]


def _edited(sample: Sample, edit: Edit) -> Sample:
    """The sample with its response edited; tokens and log-probabilities no longer belong to it."""
    response = sample.response
    text = response if isinstance(response, str) else final_text(sample, "whole") or ""
    changed = edit(text)
    if changed == text:
        return sample
    return replace(sample, response=changed, tokens=None, logprobs=None, id=None)
