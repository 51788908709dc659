"""The tree of a reward on one sample: every leaf's raw value, weight, share and reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plaudit.reward._base import Combinator, Reward
from plaudit.reward._tree import use_name
from plaudit.types import Context, Sample, Status, Verdict, html_of


@dataclass(frozen=True, slots=True)
class Explanation:
    """One node of the explained tree.

    Fields:
        name: how the node above calls it.
        use: the spec name of the reward or operator.
        verdict: what it said of this sample.
        weight: its weight where the node above is a weighted sum, else None.
        share: its part of the sum of absolute contributions, in [0, 1]; None outside a weighted sum.
        parts: the nodes below.
    """

    name: str
    use: str
    verdict: Verdict
    weight: float | None
    share: float | None
    parts: tuple[Explanation, ...]

    def lines(self, depth: str = "", last: bool = True, root: bool = True) -> Iterator[str]:
        """The tree as text, a line a node."""
        v = self.verdict
        branch = "" if root else depth + ("└─ " if last else "├─ ")
        value = f"{v.value:.4g}" if v.value is not None else v.status.value.upper()
        text = f"{branch}{self.name} = {value}"
        if self.weight is not None:
            text += f"  × {self.weight:g}"
        if self.share is not None:
            text += f"  ({self.share:.0%})"
        if self.use != self.name:
            text += f"  [{self.use}]"
        if v.reason is not None:
            text += f"  {v.reason}"
        if not self.parts and v.answer is not None:
            text += f"  read {_short(v.answer)!r}"
        if v.explanation and (not self.parts or v.status is not Status.SCORED):
            text += f"  {_short(v.explanation, 100)}"
        yield text
        inner = "" if root else depth + ("   " if last else "│  ")
        for k, part in enumerate(self.parts):
            yield from part.lines(inner, k == len(self.parts) - 1, root=False)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return html_of(self)

    def to_json(self) -> dict[str, Any]:
        """The tree as JSON values."""
        v = self.verdict
        return {
            "name": self.name, "use": self.use, "value": v.value, "status": v.status.value, "reason": v.reason,
            "weight": self.weight, "share": self.share, "answer": v.answer, "explanation": v.explanation,
            "parts": [part.to_json() for part in self.parts],
        }  # fmt: skip


def explain(
    reward: Reward, sample: Sample, context: Context | None = None, *, among: Sequence[Sample] | None = None
) -> Explanation:
    """Score one sample and lay the tree out.

    `among` are the samples that it is scored with, itself one of them: its group, or the whole batch, where the scope needs
    them. None = alone.

    >>> from plaudit.reward import reward
    >>> short = reward(lambda response: -len(response) / 10, range=(-1, 0)).named("short")
    >>> right = reward(lambda response: float("4" in response), range=(0, 1)).named("right")
    >>> print(explain(right + 0.5 * short, Sample("2+2", "4!")))
    sum = 0.9
    ├─ right = 1  × 1  (91%)  [function]
    └─ short = -0.2  × 0.5  (9%)  [function]
    """
    samples = [sample] if among is None else list(among)
    row = next((i for i, other in enumerate(samples) if other is sample), None)
    if row is None:
        raise ValueError("explain: the sample is not one of those in `among`")
    verdict = reward.score(samples, context)[row]
    return _node(reward, reward.name, verdict, None, None)


def _node(reward: Reward, name: str, verdict: Verdict, weight: float | None, share: float | None) -> Explanation:
    from plaudit.reward._wrappers import Named

    while isinstance(reward, Named):
        reward = reward.reward
    parts: list[Explanation] = []
    if isinstance(reward, Combinator):
        weights: Mapping[str, float] = reward.linear_weights() or {}
        sizes = {n: abs(w * (verdict.parts[n].value or 0.0)) for n, w in weights.items() if n in verdict.parts}
        total = sum(sizes.values())
        for part_name, operand in reward.operands().items():
            if part_name in verdict.parts:
                part_share = sizes[part_name] / total if part_name in sizes and total else None
                parts.append(_node(operand, part_name, verdict.parts[part_name], weights.get(part_name), part_share))
    else:
        for part_name, part in verdict.parts.items():
            parts.append(Explanation(part_name, "part", part, None, None, ()))
    return Explanation(name, use_name(reward), verdict, weight, share, tuple(parts))


def _short(text: str, limit: int = 40) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
