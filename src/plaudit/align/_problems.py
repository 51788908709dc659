"""What a policy is trained or measured on: prompts with whatever the reward needs beside them, and their order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import DataError
from plaudit.types import Sample


@runtime_checkable
class Problem(Protocol):
    """Anything that turns a response into a sample, for example `plaudit.worlds.ArithmeticProblem`."""

    def sample(self, response: str) -> Sample:
        """The sample of this problem with that response."""


def templates(problems: Sequence[Problem | Sample]) -> list[Sample]:
    """A sample of each problem whose response does not count.

    Raises DataError for no problems, or something that is none (with its place).
    """
    if isinstance(problems, (str, Sample)) or not isinstance(problems, Sequence) or not len(problems):
        raise DataError(f"problems is {type(problems).__name__}: expected a sequence of at least one problem or sample")
    found = []
    for k, problem in enumerate(problems):
        if isinstance(problem, Sample):
            found.append(problem)
        elif isinstance(problem, Problem):
            found.append(problem.sample(""))
        else:
            raise DataError(f"problems[{k}] is {type(problem).__name__}: expected a Sample, or an object with sample(response)")
    return found


def prompt_texts(samples: Sequence[Sample], tokenizer: Any) -> list[str]:
    """The prompts as the policy reads them; messages through the tokenizer's chat template, up to where the answer begins."""
    texts = []
    for sample in samples:
        if isinstance(sample.prompt, str):
            texts.append(sample.prompt)
        else:
            messages = [dict(message) for message in sample.prompt]
            texts.append(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    return texts


def problems_of_step(step: int, count: int, total: int, seed: int) -> NDArray[np.int64]:
    """(count,) which of `total` problems step 0, 1, ... draws: all of them in random order, then all again in another.

    >>> np.sort(np.concatenate([problems_of_step(step, 2, 6, seed=0) for step in range(3)])).tolist()
    [0, 1, 2, 3, 4, 5]
    """
    places = np.arange(step * count, (step + 1) * count)
    rounds = places // total
    orders = {int(r): np.random.default_rng([seed, 1, int(r)]).permutation(total) for r in np.unique(rounds)}
    return np.array([orders[int(r)][place % total] for r, place in zip(rounds, places, strict=True)], dtype=np.int64)


def digest_of(samples: Sequence[Sample]) -> str:
    """What tells one set of problems from another: prompts and references, in their order."""
    found = hashlib.blake2b(digest_size=16)
    for sample in samples:
        found.update(repr((sample.prompt, sample.reference, sorted(sample.meta.items()))).encode("utf-8", "surrogatepass"))
    return found.hexdigest()


def seed_of(seed: int, step: int, purpose: int) -> int:
    """A seed for one purpose within one step, independent of all others."""
    return int(np.random.SeedSequence([seed, step, purpose]).generate_state(1, np.uint64)[0] >> 1)
