"""verl: a reward as the function that its reward managers call, from the command line or from Python.

Without Python, in verl's configuration:

    reward.custom_reward_function.path=pkg://plaudit.integrations.verl
    reward.custom_reward_function.name=compute_score
    +reward.custom_reward_function.reward_kwargs.reward=/path/to/reward.yaml
    +reward.custom_reward_function.reward_kwargs.on_unscored=0.0

Every call gives a dict with the same keys: ``score``; ``scored``, ``abstained``, ``failed`` (0 or 1); ``seconds``; and each
leaf's value as ``reward/LEAF``. verl cannot leave a sample out: one without a reward gets `on_unscored` as its score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from plaudit.errors import ContractError
from plaudit.integrations._verl_scorer import VerlScorer, as_reward, scorer_of
from plaudit.reward import Reward

# verl may load this file by its path, under a name that is in no sys.modules: it holds plain functions and nothing else.

__all__ = ["compute_score", "compute_score_async", "compute_score_batch", "reward_function"]

Form = Literal["sample", "async", "batch"]

_OPTIONS = ("on_unscored_leaf", "prompt_key", "group_size", "prefix", "max_failure_rate", "failure_window")


def compute_score(
    data_source: Any,
    solution_str: str,
    ground_truth: Any,
    extra_info: Any = None,
    *,
    reward: Any,
    on_unscored: float,
    **given: Any,
) -> dict[str, Any]:
    """Score one response; any of verl's managers can call it, `remote` too.

    `reward` (a spec file, a registered name, a mapping or a Reward) and `on_unscored`, with the options of `reward_function`,
    come from verl's ``reward_kwargs``; the spec is read once in a process. Raises as `reward_function` does.

    >>> row = compute_score("math", "It is 4.", "4", reward="verify.math", on_unscored=0.0)
    >>> row["score"], row["scored"], row["reward/math"]
    (1.0, 1, 1.0)
    """
    scorer, rest = _scorer(reward, on_unscored, given)
    scorer.need_sample_scope()
    return scorer.one(data_source, solution_str, ground_truth, extra_info, rest)


async def compute_score_async(
    data_source: Any,
    solution_str: str,
    ground_truth: Any,
    extra_info: Any = None,
    *,
    reward: Any,
    on_unscored: float,
    **given: Any,
) -> dict[str, Any]:
    """As `compute_score`, awaited: many responses wait for a judge at once, more than verl's thread pool has threads."""
    scorer, rest = _scorer(reward, on_unscored, given)
    scorer.need_sample_scope()
    return await scorer.aone(data_source, solution_str, ground_truth, extra_info, rest)


def compute_score_batch(
    data_sources: Sequence[Any], solution_strs: Sequence[str], ground_truths: Sequence[Any], extra_infos: Any = None, *,
    reward: Any, on_unscored: float, **given: Any,
) -> list[dict[str, Any]]:  # fmt: skip
    """Score a whole batch, for verl's `batch` manager; rewards of group scope work here.

    A group is the rows with one ``uid``, ``group`` or ``index`` in extra_info (within one data source and split), else with
    one prompt. Raises DataError when neither is there.
    """
    scorer, rest = _scorer(reward, on_unscored, given)
    return scorer.many(data_sources, solution_strs, ground_truths, extra_infos, rest)


def reward_function(
    reward: Reward | Mapping[str, Any] | str | Path, *, on_unscored: float, form: Form = "sample", **options: Any
) -> Callable[..., Any]:
    """The reward as a ``compute_score`` function, for a file of your own that verl loads.

    `on_unscored` is the score of a sample that has no reward. `form`: "sample" is called with one response, "async" is the same
    awaited, "batch" is called with lists. Options:
        on_unscored_leaf: what a leaf without a value counts as in its own key; NaN, or a number for estimators that read the
            keys (GDPO).
        prompt_key: where in extra_info the prompt stands; else prompt, raw_prompt, question or problem.
        group_size: responses of a prompt (``rollout.n``), with form "batch": incomplete groups then FAIL.
        prefix: how the leaves' keys begin.
        max_failure_rate: TooManyFailures is raised when a larger share of the last `failure_window` (100) samples of this
            process FAILED; 0.5, because here failures become numbers. None = never.

    Raises ContractError for an `on_unscored` that is no finite number, and for a reward of group or batch scope in a form that
    sees one response at a time.

    >>> compute = reward_function("verify.exact", on_unscored=0.0)
    >>> compute(data_source="x", solution_str="4", ground_truth="4", extra_info={"split": "train"})["score"]
    1.0
    """
    scorer = VerlScorer(as_reward(reward), on_unscored=on_unscored, **_known(options))
    if form == "batch":

        def score_batch(
            data_sources: Any, solution_strs: Any, ground_truths: Any, extra_infos: Any = None, **given: Any
        ) -> list[dict[str, Any]]:
            return scorer.many(data_sources, solution_strs, ground_truths, extra_infos, given)

        return score_batch
    scorer.need_sample_scope()
    if form == "async":

        async def ascore(
            data_source: Any, solution_str: str, ground_truth: Any, extra_info: Any = None, **given: Any
        ) -> dict[str, Any]:
            return await scorer.aone(data_source, solution_str, ground_truth, extra_info, given)

        return ascore
    if form != "sample":
        raise ContractError(f"form is {form!r}: expected 'sample', 'async' or 'batch'")

    def score(data_source: Any, solution_str: str, ground_truth: Any, extra_info: Any = None, **given: Any) -> dict[str, Any]:
        return scorer.one(data_source, solution_str, ground_truth, extra_info, given)

    return score


def _scorer(reward: Any, on_unscored: float, given: Mapping[str, Any]) -> tuple[VerlScorer, dict[str, Any]]:
    """The scorer of these settings, and the keywords that are no settings."""
    options = {name: given[name] for name in _OPTIONS if name in given}
    return scorer_of(reward, {"on_unscored": on_unscored, **options}), {k: v for k, v in given.items() if k not in options}


def _known(options: Mapping[str, Any]) -> Mapping[str, Any]:
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise ContractError(f"unknown {', '.join(unknown)}; known: {', '.join(_OPTIONS)}")
    return options
