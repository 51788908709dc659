"""One call of a verl reward manager, as a sample, and a verdict as the dict that verl logs."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from math import isfinite, nan
from pathlib import Path
from threading import Lock
from typing import Any

from plaudit.errors import ContractError, DataError
from plaudit.integrations._failures import FailureGuard, failure_reasons
from plaudit.reward import Reward, from_spec, leaves
from plaudit.types import ABSTAINED, FAILED, SCORED, Sample, Verdicts

_LOGGER = logging.getLogger("plaudit.integrations.verl")
_PROMPTS = ("prompt", "raw_prompt", "question", "problem")
_SCALARS = (str, int, float, bool)


class VerlScorer:
    """A reward that speaks verl: takes what its managers pass, gives dicts with constant keys.

    Fields as for `plaudit.integrations.verl.reward_function`. Raises ContractError for values outside these.
    """

    def __init__(
        self, reward: Reward, *, on_unscored: float, on_unscored_leaf: float = nan, prompt_key: str | None = None,
        group_size: int | None = None, prefix: str = "reward", max_failure_rate: float | None = 0.5, failure_window: int = 100,
    ) -> None:  # fmt: skip
        if isinstance(on_unscored, bool) or not isinstance(on_unscored, (int, float)) or not isfinite(on_unscored):
            raise ContractError(
                f"on_unscored is {on_unscored!r}: expected a finite number. verl cannot leave a sample out, so you must say what "
                "one without a reward counts as; the middle of the reward's range moves the policy least"
            )
        self.reward, self.on_unscored, self.on_unscored_leaf = reward, float(on_unscored), float(on_unscored_leaf)
        self.prompt_key, self.group_size, self.prefix = prompt_key, group_size, prefix
        self.leaves = leaves(reward)
        self.guard = FailureGuard(reward.name, max_failure_rate, failure_window, _LOGGER)
        self._told_prompt = False

    def one(
        self, data_source: Any, solution_str: str, ground_truth: Any, extra_info: Any, given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The dict of one response."""
        return self._rows(self.reward.score([self._sample(data_source, solution_str, ground_truth, extra_info, given)]))[0]

    async def aone(
        self, data_source: Any, solution_str: str, ground_truth: Any, extra_info: Any, given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The dict of one response, without blocking the event loop."""
        sample = self._sample(data_source, solution_str, ground_truth, extra_info, given)
        return self._rows(await self.reward.ascore([sample]))[0]

    def many(
        self, data_sources: Sequence[Any], solution_strs: Sequence[str], ground_truths: Sequence[Any], extra_infos: Any,
        given: Mapping[str, Any],
    ) -> list[dict[str, Any]]:  # fmt: skip
        """The dicts of n responses. Raises DataError when the lists differ in length or groups cannot be told apart."""
        n = len(solution_strs)
        infos = [None] * n if extra_infos is None else extra_infos
        for name, values in (("data_sources", data_sources), ("ground_truths", ground_truths), ("extra_infos", infos)):
            if len(values) != n:
                raise DataError(f"verl passed {n} solution_strs and {len(values)} {name}: expected one for each")
        rows = zip(data_sources, solution_strs, ground_truths, infos, strict=True)
        return self._rows(self.reward.score([self._sample(*row, given) for row in rows]))

    def need_sample_scope(self) -> None:
        """Raises ContractError when a value depends on more than one response, which verl passes one by one."""
        scope = self.reward.facts.scope
        if scope != "sample":
            raise ContractError(
                f"{self.reward.name} depends on the whole {scope}, and verl calls compute_score with one response at a time: use "
                "compute_score_batch with verl's batch manager, or give the group's part of the work to the advantage estimator"
            )

    def _sample(self, data_source: Any, solution: str, ground_truth: Any, extra_info: Any, given: Mapping[str, Any]) -> Sample:
        info = dict(extra_info or {})
        source = "" if data_source is None else str(data_source)
        plain = {name: value for name, value in given.items() if isinstance(value, _SCALARS)}
        meta = {**plain, **info, "data_source": source, "extra_info": info}
        scoped = self.reward.facts.scope != "sample"
        prompt = self._prompt(info)
        group = self._group(source, info, prompt) if scoped else None
        return Sample(prompt, solution, ground_truth, group=group, group_size=self.group_size if scoped else None, meta=meta)

    def _prompt(self, info: Mapping[str, Any]) -> Any:
        keys = _PROMPTS if self.prompt_key is None else (self.prompt_key,)
        found = next((info[key] for key in keys if key in info and info[key] is not None), None)
        if found is not None:
            return found if isinstance(found, str) else [dict(message) for message in found]
        if self.prompt_key is not None:
            raise DataError(
                f"extra_info has no {self.prompt_key!r}, where prompt_key says that the prompt stands: it has {list(info)}"
            )
        if "prompt" in self.reward.facts.reads and not self._told_prompt:
            self._told_prompt = True
            _LOGGER.warning(
                "%s reads the prompt, which verl does not pass to reward functions: it reads empty text. Put the prompt into "
                "extra_info['prompt'] of the data set", self.reward.name,
            )  # fmt: skip
        return ""

    def _group(self, source: str, info: Mapping[str, Any], prompt: Any) -> str:
        for key in ("uid", "group", "index"):
            if info.get(key) is not None:
                return json.dumps([source, str(info.get("split", "")), key, str(info[key])])
        if prompt:
            return json.dumps([source, prompt], sort_keys=True, default=str)
        raise DataError(
            f"{self.reward.name} needs whole groups, and extra_info has no uid, group, index or prompt: it has {list(info)}"
        )

    def _rows(self, verdicts: Verdicts) -> list[dict[str, Any]]:
        self.guard.tell(verdicts)
        self.guard.watch(failure_reasons(verdicts) if len(verdicts) else Counter())
        columns = [(f"{self.prefix}/{leaf.name}", leaf.of(verdicts).values.tolist()) for leaf in self.leaves]
        seconds = [0.0] * len(verdicts) if verdicts.cost is None else verdicts.cost[:, 0].tolist()
        codes = verdicts.codes.tolist()
        return [
            {
                "score": value if codes[i] == SCORED else self.on_unscored,
                "scored": int(codes[i] == SCORED), "abstained": int(codes[i] == ABSTAINED), "failed": int(codes[i] == FAILED),
                "seconds": seconds[i],
                **{name: self.on_unscored_leaf if column[i] != column[i] else column[i] for name, column in columns},
            }
            for i, value in enumerate(verdicts.values.tolist())
        ]  # fmt: skip


def as_reward(reward: Any) -> Reward:
    """A reward, or the reward of a spec: a mapping (also of OmegaConf), YAML text, a file or a registered name."""
    built = reward if isinstance(reward, Reward) else from_spec(_plain(reward))
    if not isinstance(built, Reward):
        raise ContractError(f"{type(built).__name__} is no reward: expected a Reward, or the spec of one")
    return built


_SCORERS: dict[str, VerlScorer] = {}
_LOCK = Lock()


def scorer_of(reward: Any, options: Mapping[str, Any]) -> VerlScorer:
    """The scorer of a spec with these options, made once in a process."""
    if isinstance(reward, Reward):
        key = f"{id(reward)}"
    else:
        reward = _plain(reward)
        key = str(reward) if isinstance(reward, (str, Path)) else json.dumps(reward, sort_keys=True, default=str)
    key = json.dumps([key, sorted((name, repr(value)) for name, value in options.items())])
    with _LOCK:
        if key not in _SCORERS:
            _SCORERS[key] = VerlScorer(as_reward(reward), **options)
        return _SCORERS[key]


def _plain(value: Any) -> Any:
    """OmegaConf's mappings and lists as plain ones."""
    if isinstance(value, Mapping):
        return {str(key): _plain(value[key]) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_plain(item) for item in value]
    return value
