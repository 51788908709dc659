"""TRL: a reward as the function, or the functions, that GRPOTrainer and its relatives call.

    trainer = GRPOTrainer(model, reward_funcs=reward_func(reward), ...)         # the total
    trainer = GRPOTrainer(model, reward_funcs=reward_funcs(reward), ...)        # one function for each addend

A sample without a value is None, which TRL leaves out of the group's mean and gives the advantage 0.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import ContractError
from plaudit.integrations._failures import FailureGuard
from plaudit.integrations._ranks import Ranks
from plaudit.integrations._tally import Tally
from plaudit.integrations._terms import Term, terms_of
from plaudit.integrations._trl_call import Call, check_mapping, in_groups
from plaudit.reward import Leaf, Reward, from_spec, leaves
from plaudit.types import Sample, Verdicts, concatenate

__all__ = ["RewardFunc", "reward_func", "reward_funcs", "reward_weights"]

_LOGGER = logging.getLogger(__name__)
_MOST_ROUNDS = 256


def reward_func(reward: Reward | Mapping[str, Any] | str | Path, *, name: str | None = None, **options: Any) -> RewardFunc:
    """The reward's total as one function for ``reward_funcs=``.

    `name` is how TRL calls it (``rewards/NAME/mean``); None = the reward's own name. Options:
        num_generations: completions of a prompt, as in GRPOConfig; needed only by rewards of group scope, and only where
            the same prompt can stand twice in a row or the processes are not joined by torch.distributed.
        columns: where a field stands: ``{"reference": "gold"}``. Else the reference is the first of reference, answer,
            solution, ground_truth; every other column goes to `Sample.meta`.
        prefix: how the names of metrics and columns begin; give two functions of one trainer two prefixes.
        max_failure_rate: TooManyFailures is raised when a larger share of the last `failure_window` samples FAILED.
        log: False = no metrics and no columns.

    Raises ContractError for options that do not fit the reward.

    >>> from plaudit.reward import reward
    >>> right = reward(lambda response, reference: float(response == reference), range=(0, 1)).named("right")
    >>> function = reward_func(right)
    >>> function(prompts=["2+2", "2+3"], completions=["4", "6"], answer=["4", "5"]), function.__name__
    ([1.0, 0.0], 'right')
    """
    scorer = _Scorer(reward, **options)
    return RewardFunc(scorer, 0, name or scorer.reward.name)


def reward_funcs(
    reward: Reward | Mapping[str, Any] | str | Path, *, split: str | None = "terms", weighted: bool = True, **options: Any
) -> list[RewardFunc]:
    """One function for each addend of a weighted sum; the reward is scored once for all of them.

    The functions' values add up to the total, so TRL's own weights stay 1. With ``weighted=False`` they are the addends' raw
    values: give `reward_weights` to GRPOConfig, or the total is another one (GDPO, ``normalize_then_sum``, needs it so).
    A sum's constant is a function of its own. Where the total has no value, every function gives None; where an addend
    abstains, its function gives None and the others add up to the total. A reward that is no sum gives one function.

    Options as for `reward_func`. Raises ContractError for an unknown `split`.

    >>> from plaudit.reward import reward
    >>> right = reward(lambda response: float("4" in response), range=(0, 1)).named("right")
    >>> short = reward(lambda response: -len(response) / 10, range=(-1, 0)).named("short")
    >>> [(f.__name__, f(prompts=["2+2"], completions=["4!"])) for f in reward_funcs(right + 0.5 * short)]
    [('right', [1.0]), ('short', [-0.1])]
    """
    if split not in (None, "terms"):
        raise ContractError(f"split is {split!r}: expected 'terms' or None")
    if split is None:
        return [reward_func(reward, **options)]
    built = _as_reward(reward)
    terms = terms_of(built)
    scorer = _Scorer(built, terms=terms, weighted=weighted, **options)
    return [RewardFunc(scorer, k, term.name) for k, term in enumerate(terms)]


def reward_weights(reward: Reward | Mapping[str, Any] | str | Path) -> list[float]:
    """The addends' weights, for ``GRPOConfig(reward_weights=...)`` next to ``reward_funcs(..., weighted=False)``.

    >>> from plaudit.reward import reward
    >>> a, b = (reward(lambda response: 1.0).named(n) for n in "ab")
    >>> reward_weights(a + 0.5 * b)
    [1.0, 0.5]
    """
    # A constant is already its own value.
    return [1.0 if term.part == "" else term.weight for term in terms_of(_as_reward(reward))]


class RewardFunc:
    """A reward, or one addend of it, as TRL calls it; picklable where the reward is.

    Calling it with TRL's keywords gives n numbers, None where there is no reward. It logs through `log_metric` and `log_extra`
    where the trainer passes them. Raises TooManyFailures, and a leaf's own error when every sample raises the same one.
    """

    def __init__(self, scorer: _Scorer, index: int, name: str) -> None:
        self._scorer, self._index = scorer, index
        # TRL takes the metric's name from here; a plain attribute, because a class has no __name__ for its instances.
        self.__name__ = self.__qualname__ = name

    @property
    def reward(self) -> Reward:
        """The reward that is scored."""
        return self._scorer.reward

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Any] | None = None,
        trainer_state: Any = None,
        log_extra: Any = None,
        log_metric: Any = None,
        environments: Sequence[Any] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """Rewards of n completions, None = not scored."""
        step = getattr(trainer_state, "global_step", None)
        call = Call(prompts, completions, columns, completion_ids, environments, step)
        return self._scorer.round_of(self._index, call, log_extra, log_metric)[self._index]

    def __repr__(self) -> str:
        return f"<TRL reward function {self.__name__!r} of {self.reward.name}>"


Round = list[list[float | None]]


class _Scorer:
    """Scores a call once for all functions of a reward, on all ranks together, and logs it."""

    def __init__(
        self, reward: Reward | Mapping[str, Any] | str | Path, *, terms: Sequence[Term] | None = None, weighted: bool = True,
        num_generations: int | None = None, columns: Mapping[str, str] | None = None, prefix: str = "reward",
        max_failure_rate: float | None = None, failure_window: int = 100, log: bool = True,
    ) -> None:  # fmt: skip
        if num_generations is not None and num_generations < 1:
            raise ContractError(f"num_generations is {num_generations}: expected at least 1")
        self.reward = _as_reward(reward)
        self.columns = dict(columns or {})
        check_mapping(self.columns)
        self.num_generations, self.prefix, self.log = num_generations, prefix, log
        self.addends = terms_of(self.reward)
        self.terms, self.weighted = terms or [Term(self.reward.name, None, 1.0)], weighted
        self.scope = self.reward.facts.scope
        self.leaves = leaves(self.reward)
        self.guard = FailureGuard(self.reward.name, max_failure_rate, failure_window, _LOGGER)
        self._rounds: list[_Pending] = []
        self._lock = Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_lock", "_rounds")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=Lock(), _rounds=[])

    def round_of(self, index: int, call: Call, log_extra: Any, log_metric: Any) -> Round:
        """The values of all functions for a call: scored for the first function that asks, kept for the others.

        A function that asks a second time begins a new round, so that a random reward is drawn anew.
        """
        with self._lock:
            pending = next((p for p in self._rounds if index not in p.taken and p.call.same_as(call)), None)
            is_first = pending is None
            if pending is None:
                pending = _Pending(call)
                self._rounds = [*self._rounds[1 - _MOST_ROUNDS :], pending]
            pending.taken.add(index)
            if len(pending.taken) == len(self.terms):
                self._rounds.remove(pending)
        if not is_first:
            return pending.result.result()
        try:
            pending.result.set_result(self._score(call, log_extra, log_metric))
        except BaseException as error:
            with self._lock:
                self._rounds = [p for p in self._rounds if p is not pending]
            pending.result.set_exception(error)
        return pending.result.result()

    def _score(self, call: Call, log_extra: Any, log_metric: Any) -> Round:
        ranks = Ranks.current()
        verdicts, tally = self._own_rows(call, ranks) if self.scope == "sample" else self._whole_groups(call, ranks)
        self.guard.tell(verdicts)
        if self.log:
            self._log(verdicts, tally, log_extra, log_metric)
        # Every rank has the same tally, so that all of them stop or none does.
        self.guard.watch(tally.reasons)
        return [_numbers(term, verdicts, self.weighted) for term in self.terms]

    def _own_rows(self, call: Call, ranks: Ranks) -> tuple[Verdicts, Tally]:
        scored: list[Verdicts] = []

        def work() -> Tally:
            start = time.perf_counter()
            scored.append(self.reward.score(call.samples(self.columns, self.num_generations), call.context))
            return Tally.of(scored[0], self.leaves, self.addends, time.perf_counter() - start)

        tallies = ranks.together(work)
        return scored[0], Tally.joined(tallies)

    def _whole_groups(self, call: Call, ranks: Ranks) -> tuple[Verdicts, Tally]:
        """Score what depends on a whole group, or on the whole batch, once: each rank takes its share of the groups."""
        if call.environments is not None and ranks.size > 1:
            raise ContractError(
                f"{self.reward.name} depends on whole groups, whose environments live in several processes: "
                "score it with one process, or give it no environments"
            )
        shares = ranks.together(lambda: call.samples(self.columns, self.num_generations))
        samples = [sample for share in shares for sample in share]
        if self.scope == "group":
            samples = in_groups(samples, self.num_generations, ranks.connected)
        elif not ranks.connected:
            raise ContractError(
                f"{self.reward.name} depends on the whole batch, and the other processes cannot be asked for theirs"
            )
        start = time.perf_counter()
        blocks = ranks.together(lambda: self._share(samples, call, ranks))
        order = np.concatenate([rows for rows, _ in blocks])
        whole = concatenate([verdicts for _, verdicts in blocks if len(verdicts)] or [blocks[0][1]])
        whole = whole.take(np.argsort(order, kind="stable"))
        first = sum(len(share) for share in shares[: ranks.rank])
        tally = Tally.of(whole, self.leaves, self.addends, time.perf_counter() - start)
        return whole[first : first + len(call.prompts)], tally

    def _share(self, samples: list[Sample], call: Call, ranks: Ranks) -> tuple[NDArray[np.intp], Verdicts]:
        """This rank's rows, and their verdicts: the groups in turn, or the whole batch on the first rank."""
        groups = np.arange(len(samples)) // (
            samples[0].group_size or 1 if samples and self.scope == "group" else len(samples) or 1
        )
        mine = np.flatnonzero(groups % ranks.size == ranks.rank)
        return mine, self.reward.score([samples[i] for i in mine.tolist()], call.context)

    def _log(self, verdicts: Verdicts, tally: Tally, log_extra: Any, log_metric: Any) -> None:
        if log_metric is not None:
            for name, value in tally.metrics(self.prefix).items():
                log_metric(name, value)
        if log_extra is not None:
            for name, values in _table(verdicts, self.leaves, self.prefix).items():
                log_extra(name, values)


class _Pending:
    """A round: a call, the functions that have asked for it, and its result once it is there."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.taken: set[int] = set()
        self.result: Future[Round] = Future()


def _table(verdicts: Verdicts, found: Sequence[Leaf], prefix: str) -> dict[str, list[Any]]:
    """Columns of the completions table; constant names."""
    n = len(verdicts)
    table: dict[str, list[Any]] = {}
    for leaf in found:
        column = leaf.of(verdicts)
        table[f"{prefix}/{leaf.name}/value"] = _with_none(column.values)
        table[f"{prefix}/{leaf.name}/reason"] = list(column.reason)
    table[f"{prefix}/status"] = verdicts.status.tolist()
    table[f"{prefix}/reason"] = list(verdicts.reason)
    table[f"{prefix}/answer"] = list(verdicts.answer or [None] * n)
    table[f"{prefix}/explanation"] = list(verdicts.explanation or [None] * n)
    return table


def _numbers(term: Term, verdicts: Verdicts, weighted: bool) -> list[float | None]:
    return _with_none(term.values(verdicts, weighted))


def _with_none(values: NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values.tolist()]


def _as_reward(reward: Reward | Mapping[str, Any] | str | Path) -> Reward:
    built = reward if isinstance(reward, Reward) else from_spec(reward)
    if not isinstance(built, Reward):
        raise ContractError(f"{type(built).__name__} is no reward: expected a Reward, or the spec of one")
    return built
