"""The generator of the preference world: prompts, and responses with attributes that can be chosen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, Literal

from plaudit.errors import DataError
from plaudit.worlds._preference_topics import (
    ASIDES,
    AUDIENCES,
    BOLD,
    CLOSERS,
    EVASIONS,
    HEDGES,
    MANNERS,
    OPENERS,
    TASKS,
    TOPICS,
    Topic,
)
from plaudit.worlds._problem import EVALUATION_SHARE, Split

Layout = Literal["prose", "bullets", "numbers"]

PROMPTS = sum(len(topic.aspects) for topic in TOPICS) * len(TASKS) * len(AUDIENCES) * len(MANNERS)
"""How many prompts there are, both splits together."""


@dataclass(frozen=True)
class ResponseTraits:
    """What a generated response is like.

    Fields:
        politeness: 0 (rude) to 3 (warm).
        accuracy: the share of its facts that are meant to be right, 0 to 1.
        facts: how many facts it states, 0 to 6; without one it evades the question.
        asides: sentences that make it longer and say nothing, 0 to 6.
        certainty: "hedged", "plain" or "bold".
        on_topic: its facts are of the prompt's topic; else of another one.
        layout: "prose", "bullets" or "numbers".

    Raises DataError for a value outside these.
    """

    politeness: int = 1
    accuracy: float = 1.0
    facts: int = 3
    asides: int = 0
    certainty: Literal["hedged", "plain", "bold"] = "plain"
    on_topic: bool = True
    layout: Layout = "prose"

    def __post_init__(self) -> None:
        allowed = {
            "politeness": self.politeness in range(4),
            "accuracy": 0.0 <= self.accuracy <= 1.0,
            "facts": self.facts in range(7),
            "asides": self.asides in range(7),
            "certainty": self.certainty in ("hedged", "plain", "bold"),
            "layout": self.layout in ("prose", "bullets", "numbers"),
        }
        for name, fits in allowed.items():
            if not fits:
                raise DataError(f"ResponseTraits.{name} is {getattr(self, name)!r}: see the class for what it may be")


@dataclass(frozen=True)
class PreferencePrompt:
    """One prompt of the preference world.

    Fields:
        text: what is asked. topic: index into the world's topics.
    """

    text: str
    topic: int

    @property
    def split(self) -> Split:
        """The split that it belongs to, by a digest of its text: no prompt is in both."""
        share = int.from_bytes(hashlib.sha256(b"preference " + self.text.encode()).digest()[:4], "big") / 2**32
        return "evaluation" if share < EVALUATION_SHARE else "training"


def draw_prompt(random: Random, split: Split) -> PreferencePrompt:
    """A prompt of that split.

    >>> draw_prompt(Random(0), "training").split
    'training'
    """
    while True:
        topic = random.randrange(len(TOPICS))
        audience = random.choice(AUDIENCES)
        text = random.choice(TASKS).format(
            aspect=random.choice(TOPICS[topic].aspects),
            audience=f"for {audience}",
            audience_of=audience,
            manner=random.choice(MANNERS),
        )
        prompt = PreferencePrompt(text, topic)
        if prompt.split == split:
            return prompt


def draw_traits(random: Random) -> ResponseTraits:
    """Traits that are independent of each other."""
    return ResponseTraits(
        politeness=random.randrange(4),
        accuracy=random.choice((0.0, 0.5, 1.0, 1.0)),
        facts=random.choice((0, 1, 2, 3, 4, 5)),
        asides=random.choice((0, 0, 1, 2, 3)),
        certainty=random.choice(("hedged", "plain", "plain", "bold")),
        on_topic=random.random() < 0.8,
        layout=random.choice(("prose", "prose", "bullets", "numbers")),
    )


def write_response(random: Random, prompt: PreferencePrompt, traits: ResponseTraits) -> tuple[str, Mapping[str, Any]]:
    """A response with these traits, and its columns: the traits, `topic`, `right` and `wrong` facts, `words`.

    >>> text, columns = write_response(Random(0), draw_prompt(Random(1), "training"), ResponseTraits(facts=2))
    >>> columns["right"], columns["wrong"]
    (2, 0)
    """
    topic = TOPICS[prompt.topic]
    if not traits.on_topic:
        topic = TOPICS[(prompt.topic + random.randrange(1, len(TOPICS))) % len(TOPICS)]
    lines, right = _facts(random, topic, traits)
    for _ in range(traits.asides):
        lines.insert(random.randint(0, len(lines)), random.choice(ASIDES))
    if traits.facts == 0:
        lines.insert(0, random.choice(EVASIONS))
    between = " " if traits.layout == "prose" else "\n"
    marks = {"prose": "", "bullets": "- ", "numbers": "{}. "}
    body = between.join(marks[traits.layout].format(k + 1) + line for k, line in enumerate(lines))
    parts = [random.choice(OPENERS[traits.politeness]), body, random.choice(CLOSERS[traits.politeness])]
    text = between.join(part for part in parts if part)
    columns = {
        **asdict(traits),
        "topic": TOPICS[prompt.topic].name,
        "right": right,
        "wrong": traits.facts - right,
        "words": len(text.split()),
    }
    return text, columns


def _facts(random: Random, topic: Topic, traits: ResponseTraits) -> tuple[list[str], int]:
    lines, right = [], 0
    leads = {"hedged": HEDGES, "plain": ("",), "bold": BOLD}[traits.certainty]
    for before, true, false, after in random.sample(topic.facts, traits.facts):
        holds = random.random() < traits.accuracy
        right += holds
        sentence = f"{before}{true if holds else false}{after}."
        lead = random.choice(leads)
        lines.append(lead + sentence[0].lower() + sentence[1:] if lead else sentence)
    return lines, right
