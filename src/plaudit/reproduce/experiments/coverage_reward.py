"""A search for an input that reaches a deep line, by a graded reward and by a reward for reaching it only."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from plaudit.reproduce import Progress, Trial, experiment

if TYPE_CHECKING:
    from plaudit.verify import Coverage

_WORD = "fuzz"
_SOURCE = "def parse(text):\n" + "".join(
    f"{'    ' * (k + 1)}if len(text) > {k} and text[{k}] == {letter!r}:\n" for k, letter in enumerate(_WORD)
)
_SOURCE += "    " * (len(_WORD) + 1) + "return 1\n    return 0\n"
_TARGET = {"source": _SOURCE, "function": "parse", "line": len(_WORD) + 2}
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
# A child is right at the next letter once in 4 * 26 tries, so four letters take the graded search about 416 tries, and the binary
# one about 26 ** 4: three times the former leaves both to the reward and not to luck.
_CHILDREN, _ROUNDS = 12, 104


@experiment(
    systems=[120],
    claim="A reward by the distance of the execution to the target line finds an input that reaches a deep line in fewer tries "
    "than a reward for reaching it only (R1-Fuzz: Specializing Language Models for Textual Fuzzing via Reinforcement Learning).",
    seeds=(0, 1, 2, 3),
    seconds=120,
    smoke=0.1,
)
def distance_reward_reaches_deep_lines(seed: int, progress: Progress, *, scale: float = 1.0) -> Trial:
    """Effect: whether the search under the graded reward reaches the line, minus the binary one; control: two binary searches.

    Search: each round changes one letter of the best input so far in a few ways and keeps the best, equals included.
    """
    from plaudit.verify import Coverage

    rounds = max(1, round(_ROUNDS * scale))
    graded, binary = Coverage(timeout=20), Coverage(graded=False, timeout=20)
    found = []
    for k, reward in enumerate((graded, binary, binary)):
        found.append(_search(reward, rounds, random.Random(4 * seed + k)))
        progress(f"{'graded' if k == 0 else 'binary'}: {found[-1][0]:g} after {found[-1][1]} tries", (k + 1) / 3)
    reached = [best for best, _ in found]
    return Trial(
        effect=reached[0] - reached[1],
        control=reached[1] - reached[2],
        unit="share of searches that reach the line",
        details={"tries": [tries for _, tries in found], "reached": reached, "depth": len(_WORD)},
    )


def _search(reward: Coverage, rounds: int, draw: random.Random) -> tuple[float, int]:
    """Whether the line was reached, and after how many tries."""
    from plaudit import Sample

    best, value = "".join(draw.choice(_LETTERS) for _ in _WORD), 0.0
    for tries in range(1, rounds + 1):
        children = []
        for _ in range(_CHILDREN):
            at = draw.randrange(len(best))
            children.append(best[:at] + draw.choice(_LETTERS) + best[at + 1 :])
        values = [
            verdict.value or 0.0
            for verdict in reward.score([Sample("Reach it.", child, reference=_TARGET) for child in children])
        ]
        if max(values) >= value:
            value = max(values)
            best = draw.choice([child for child, own in zip(children, values, strict=True) if own == value])
        if value == 1.0:
            return 1.0, tries * _CHILDREN
    return 0.0, rounds * _CHILDREN
