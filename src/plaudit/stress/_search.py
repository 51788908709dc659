"""Searches for what a reward likes and is no better: the reward is a black box, only asked for scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random

import numpy as np

from plaudit.reward import Reward
from plaudit.stress._edits import Edit
from plaudit.stress._outrank import Outranking, better_and_worse, edited, group_of, outranked, text_of
from plaudit.types import Context, Sample

Mutation = Callable[[str, Random], str]
"""From a response to a random neighbour of it."""


def change_digit(response: str, random: Random) -> str:
    """One digit becomes another one.

    >>> change_digit("1+1=2", Random(0))
    '1+7=2'
    """
    places = [k for k, character in enumerate(response) if character in "0123456789"]
    if not places:
        return response
    k = random.choice(places)
    return response[:k] + random.choice([d for d in "0123456789" if d != response[k]]) + response[k + 1 :]


def any_of(edits: Mapping[str, Edit]) -> Mutation:
    """One of the edits, drawn at random.

    >>> any_of({"twice": lambda text: text + text})("ab", Random(0))
    'abab'
    """
    choices = list(edits.values())
    return lambda response, random: random.choice(choices)(response)


def search_attack(
    reward: Reward,
    gold: Reward,
    samples: Sequence[Sample],
    mutate: Mutation,
    *,
    tries: int = 30,
    max_growth: float = 2.0,
    seed: int = 0,
    context: Context | None = None,
    name: str = "search",
) -> Outranking:
    """How often a worse response, changed step by step into what the reward likes, outranks a better one.

    Hill climbing on all pairs side by side: of each worse response a random neighbour is scored, and kept when the reward is
    higher and the gold reward is still below that of the better response. The pairs are those of `outranking`.

    Args:
        reward: the reward under attack; it is asked `tries` times for each pair.
        gold: what is true of the responses.
        samples: responses in groups.
        mutate: gives a neighbour.
        tries: neighbours of each response.
        max_growth: a neighbour longer than that times the response at first is not tried.
        seed: of the neighbours.
        name: stands in the result.

    Returns the share of pairs in which the search ended above the better response; `worked` has the worse ones' last forms.

    Raises ContractError when no group has a better and a worse response.

    >>> from plaudit.reward import reward
    >>> nines = reward(lambda response: response.count("9") / 10, range=(0, 1)).named("nines")
    >>> right = reward(lambda response: float("4" in response), range=(0, 1)).named("right")
    >>> samples = [Sample("2+2?", "the answer: 94", group="a"), Sample("2+2?", "the answer: 55", group="a")]
    >>> search_attack(nines, right, samples, change_digit).success
    1.0
    """
    pairs = better_and_worse(samples, gold.score(samples, context).values)
    better, now = [samples[a] for a, _ in pairs], [samples[b] for _, b in pairs]
    longest = [max_growth * max(1, len(text_of(sample))) for sample in now]
    bar, gold_bar = reward.score(better, context).values, gold.score(better, context).values
    values = reward.score(now, context).values
    random = Random(seed)
    for _ in range(tries):
        trial = [edited(sample, lambda text: mutate(text, random)) for sample in now]
        fit = [k for k, sample in enumerate(trial) if sample is not now[k] and len(text_of(sample)) <= longest[k]]
        if not fit:
            continue
        tried = [trial[k] for k in fit]
        found, truth = reward.score(tried, context).values, gold.score(tried, context).values
        for k, sample, value, worth in zip(fit, tried, found, truth, strict=True):
            if value > values[k] and worth < gold_bar[k]:
                now[k], values[k] = sample, value
    return outranked(name, better, now, bar, values, np.isfinite(values) & np.isfinite(bar))


def pool_attack(
    reward: Reward,
    gold: Reward,
    samples: Sequence[Sample],
    pool: Sequence[Sample],
    *,
    context: Context | None = None,
    name: str = "best of many",
) -> Outranking:
    """How often one of many worse responses outranks the best response of its group.

    This is what a policy does that draws until the reward likes it: the more it draws, the more often it finds a mistake of the
    reward instead of a better answer.

    Args:
        reward: the reward under attack.
        gold: what is true of the responses.
        samples: responses in groups; of those with the highest gold reward the one with the highest reward is to be outranked.
        pool: further responses to the same prompts; those that are worse by the gold reward compete.

    Returns the share of groups in which one of them gets more reward. Groups without a better and a worse response in `samples`
    do not count, nor do those without a worse one in the pool.

    Raises ContractError when no group has a better and a worse response.

    >>> from plaudit.reward import reward
    >>> longer = reward(lambda response: float(len(response)), range=(0, float("inf"))).named("longer")
    >>> right = reward(lambda response: float("4" in response), range=(0, 1)).named("right")
    >>> samples = [Sample("2+2?", "it is 4", group="a"), Sample("2+2?", "it is 5", group="a")]
    >>> pool_attack(longer, right, samples, [Sample("2+2?", "I believe 5", group="a"), Sample("2+2?", "3", group="a")]).success
    1.0
    """
    values, truth = reward.score(samples, context).values, gold.score(samples, context).values
    best = {group_of(samples[a]): a for a, _ in better_and_worse(samples, truth)}
    for k, sample in enumerate(samples):
        a = best.get(group_of(sample))
        # One that is not scored sets no bar.
        if a is not None and truth[k] == truth[a] and np.isfinite(values[k]) and not values[k] <= values[a]:
            best[group_of(sample)] = k
    rivals, worth = reward.score(pool, context).values, gold.score(pool, context).values
    rival: dict[str, int] = {}
    for k, sample in enumerate(pool):
        group = group_of(sample)
        if group in best and worth[k] < truth[best[group]] and np.isfinite(rivals[k]):
            rival[group] = k if group not in rival or rivals[k] > rivals[rival[group]] else rival[group]
    groups = [group for group in best if group in rival and np.isfinite(values[best[group]])]
    return outranked(
        name,
        [samples[best[group]] for group in groups],
        [pool[rival[group]] for group in groups],
        np.array([values[best[group]] for group in groups]),
        np.array([rivals[rival[group]] for group in groups]),
        np.ones(len(groups), dtype=bool),
    )
