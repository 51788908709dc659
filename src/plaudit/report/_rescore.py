"""Judging a few rows of a run once more, to see what its columns do not keep: dense rewards, parts, explanations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plaudit import catalog
from plaudit.errors import PlauditError
from plaudit.reward import Reward, from_spec, leaves
from plaudit.types import Sample, Verdict

_CHEAP = ("inline", "cpu")
_OPERATORS = ("sum", "product", "minimum", "lexicographic", "clip", "gate", "part")


@dataclass(frozen=True, slots=True)
class Rescored:
    """Verdicts by row number, the reward that gave them, or why there are none."""

    verdicts: Mapping[int, Verdict]
    reward: Reward | None
    why_not: str | None


def rescore(manifest: Mapping[str, Any], samples: Mapping[int, Sample], wanted: bool | None) -> Rescored:
    """Judge the samples with the reward of a run's manifest.

    Args:
        manifest: of the run: its spec and fingerprint.
        samples: by row number.
        wanted: None = where nothing but rewards of the catalogue on the inline and cpu lanes would run, so that a report
            neither calls a paid judge nor runs code that a foreign run folder names; True = in any case; False = never.
    """
    spec = manifest.get("spec")
    if wanted is False or not samples:
        return Rescored({}, None, None)
    if not isinstance(spec, dict):
        return Rescored({}, None, "The run's reward has no spec, so the rows cannot be judged again.")
    foreign = sorted({use for use in _uses(spec) if use not in catalog.names() and use not in _OPERATORS})
    if foreign and not wanted:
        return Rescored({}, None, f"The reward runs code of its own ({', '.join(foreign)}): --rescore judges the rows again.")
    try:
        reward = from_spec(spec)
    except (PlauditError, OSError) as error:
        return Rescored({}, None, f"The run's reward cannot be built here, so the rows are not judged again: {error}")
    why = _refusal(reward, str(manifest.get("fingerprint")), bool(wanted))
    if why is not None:
        return Rescored({}, reward if isinstance(reward, Reward) else None, why)
    try:
        verdicts = reward.score(list(samples.values()))
    except Exception as error:  # the reward's own mistake is shown, and the rest of the report stands
        return Rescored({}, reward, f"Judging the rows again raised {type(error).__name__}: {error}")
    return Rescored(dict(zip(samples, verdicts, strict=True)), reward, None)


def _refusal(reward: Any, fingerprint: str, forced: bool) -> str | None:
    if not isinstance(reward, Reward):
        return "The run's spec is not that of a reward."
    if reward.fingerprint != fingerprint.partition("@")[0]:
        return "The reward has changed since the run (its fingerprint differs), so the rows are not judged again."
    if reward.facts.stateful or reward.facts.scope != "sample":
        return "A value depends on more than its own row, so single rows are not judged again."
    lanes = {leaf.reward.facts.lane for leaf in leaves(reward)} - set(_CHEAP)
    if lanes and not forced:
        return f"The reward calls models ({', '.join(sorted(lanes))} lane): --rescore judges the shown rows again."
    return None


def _uses(spec: Any) -> Iterator[str]:
    """Every kind of reward that a spec names; a mapping's `use` may stand at any depth."""
    open_nodes: list[Any] = [spec]
    while open_nodes:
        node = open_nodes.pop()
        if isinstance(node, Mapping):
            if "use" in node:
                yield str(node["use"])
            open_nodes += node.values()
        elif isinstance(node, Sequence) and not isinstance(node, str):
            open_nodes += node
