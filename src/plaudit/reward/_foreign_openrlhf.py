"""Reward functions of OpenRLHF, called as its trainer calls them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plaudit.errors import ContractError
from plaudit.reward._foreign_form import ForeignFunction, plain, with_details
from plaudit.reward._function import to_verdict
from plaudit.text import final_text, message_text
from plaudit.types import Context, Sample, Verdict


@dataclass(frozen=True)
class OpenRlhfFunction(ForeignFunction):
    """A reward function of OpenRLHF: ``reward_func(queries, prompts, labels)``, called with lists of length one as there.

    A chat prompt is written as its messages' texts with line feeds between them; no chat template is applied.
    """

    def score_one(self, sample: Sample, context: Context) -> Verdict:
        prompt = sample.prompt
        if not isinstance(prompt, str):
            prompt = "".join(message_text(message) + "\n" for message in prompt)
        query = prompt + (final_text(sample, read="whole") or "")
        return _openrlhf_verdict(self._call(queries=[query], prompts=[prompt], labels=[sample.reference]))


def _openrlhf_verdict(result: Any) -> Verdict:
    """The one reward of ``rewards`` (a list, a tensor or a number); ``scores`` and ``extra_logs`` are details."""
    details: dict[str, Any] = {}
    if isinstance(result, Mapping):
        if "rewards" not in result:
            raise ContractError(f"the function returned a dict with keys {list(result)}: OpenRLHF wants one called 'rewards'")
        if result.get("scores") is not None:
            details["scores"] = _single(result["scores"], "scores")
        if result.get("extra_logs"):
            details["extra_logs"] = {str(name): _single(value, str(name)) for name, value in result["extra_logs"].items()}
        result = result["rewards"]
    return with_details(to_verdict(_single(result, "rewards")), details)


def _single(value: Any, name: str) -> Any:
    """The number inside lists of length one."""
    value = plain(value)
    while isinstance(value, (list, tuple)):
        if len(value) != 1:
            raise ContractError(f"{name} has {len(value)} entries for one sample: expected one")
        value = value[0]
    return value
