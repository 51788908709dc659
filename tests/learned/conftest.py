"""Answers of the arithmetic policy, and reward models that are trained on them, made once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from plaudit.learned import Head, HiddenFeatures, TextFeatures, Training, train, training_labels, training_pairs
from plaudit.lm import LocalModel
from plaudit.types import Context, Pair, Sample
from plaudit.worlds import ArithmeticAnswer, arithmetic_problems, load_policy

COLOURS = ("red", "blue", "green", "yellow", "purple", "orange", "pink", "brown")
NUMBERS = ("ten", "two", "seven", "forty", "eight", "sixty", "nine", "ninety")


@dataclass(frozen=True)
class Answers:
    """Samples with tokens, 8 to a problem, and which are right."""

    samples: list[Sample]
    right: np.ndarray
    context: Context


@pytest.fixture(scope="session")
def arithmetic() -> Answers:
    policy = load_policy("arithmetic")
    problems = arithmetic_problems(96, seed=5)
    drawn = policy.sample([p.prompt for p in problems], n=8, seed=5)
    samples = [
        Sample(p.prompt, c.text, p.answer, tokens=c.tokens) for p, group in zip(problems, drawn, strict=True) for c in group
    ]
    right = ArithmeticAnswer()(samples)
    model = LocalModel(policy.model, policy.tokenizer, version="arithmetic-1")
    return Answers(samples, right, Context(models={"policy": model}))


@pytest.fixture(scope="session")
def gated(arithmetic):
    data = training_labels(arithmetic.samples, arithmetic.right)
    return train(
        data,
        HiddenFeatures("policy:", layers=()),
        Head("gated_linear"),
        Training(epochs=20),
        holdout=0,
        context=arithmetic.context,
    )


@pytest.fixture(scope="session")
def colour_pairs() -> list[Pair]:
    return [Pair(f"Question {k}: say a colour.", f"I say {c}.", f"I say {n}.") for k, c in enumerate(COLOURS) for n in NUMBERS]


@pytest.fixture(scope="session")
def colours(colour_pairs):
    return train(training_pairs(colour_pairs), TextFeatures(), Head("linear"), Training(epochs=20), validation=0, holdout=0)
