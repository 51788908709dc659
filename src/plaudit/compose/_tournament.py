"""Tournaments: a comparator of pairs as a reward of whole groups."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, ClassVar, Literal

import numpy as np

from plaudit.compose._brackets import Games, Plan, Rounds, rounds_of
from plaudit.compose._grouped import GroupNumber
from plaudit.compose._parts import Floats, checked_number
from plaudit.compose._ratings import bradley_terry, elo, win_rate
from plaudit.errors import ContractError
from plaudit.reward import Comparator, Facts, Reward, group_index
from plaudit.types import Context, Cost, Preference, Sample, Status, Verdict, declare_reason

Rating = Literal["place", "win_rate", "bradley_terry", "elo"]
MOST = 1024
"""Responses that one group may have."""

declare_reason("comparison_failed", Status.FAILED, "A comparison of this response with another one failed.")
declare_reason("group_too_large", Status.FAILED, "The group has more responses than a tournament takes.")


@dataclass(frozen=True)
class RewardComparator(Comparator):
    """A reward as a comparator: ``P(a beats b) = sigmoid((r_a - r_b) / temperature)``.

    Fields:
        reward: of sample scope.
        temperature: >= 0, in the unit of the reward; 0 = 1 or 0, and 0.5 for equal rewards.

    FAILED where one of the two rewards is, ABSTAINED where one abstains. Raises ContractError for a reward of wider scope.

    >>> from plaudit.verify import Exact
    >>> RewardComparator(Exact(), 0).compare([(Sample("2+2", "4", "4"), Sample("2+2", "5", "4"))])[0].p
    1.0
    """

    reward: Reward
    temperature: float = 1.0

    def __post_init__(self) -> None:
        checked_number("reward_comparator", "temperature", self.temperature, low=0.0)
        if self.reward.facts.scope != "sample":
            raise ContractError(
                f"reward_comparator: {self.reward.name!r} has scope {self.reward.facts.scope!r}: expected 'sample'"
            )

    @property
    def facts(self) -> Facts:
        """Reads what the reward reads; io lane."""
        inner = self.reward.facts
        return Facts(reads=inner.reads, lane="io", deterministic=inner.deterministic, stateful=inner.stateful)

    async def acompare_batch(self, pairs: Sequence[tuple[Sample, Sample]], context: Context) -> list[Preference]:
        """Preferences of n pairs; every sample is scored once."""
        number = {id(s): k for k, s in enumerate({id(s): s for pair in pairs for s in pair}.values())}
        distinct = list({id(s): s for pair in pairs for s in pair}.values())
        scores = await self.reward.ascore(distinct, context)
        return [self._preference(scores[number[id(a)]], scores[number[id(b)]]) for a, b in pairs]

    def _preference(self, a: Verdict, b: Verdict) -> Preference:
        if a.value is None or b.value is None:
            lost = [v for v in (a, b) if v.status is Status.FAILED]
            if lost:
                return Preference(None, Status.FAILED, "part_failed:reward", explanation=lost[0].explanation)
            return Preference(None, Status.ABSTAINED, "all_abstained")
        gap = a.value - b.value
        if self.temperature == 0:
            return Preference(0.5 + 0.5 * float(np.sign(gap)))
        return Preference(float(0.5 + 0.5 * np.tanh(gap / (2 * self.temperature))))


@dataclass(frozen=True)
class Tournament(Reward):
    """The responses of a group against each other; how a response fares is its reward, in [0, 1].

    Fields:
        comparator: says which of two responses is better.
        plan: ``"round_robin"``: all pairs, m (m - 1) / 2. ``"swiss"``: about m (log2 m + 1) / 2. ``"merge_sort"``: at most
            m ceil(log2 m). ``"knockout"``: m - 1, says little but who is best.
        rating: ``"bradley_terry"``: the fitted probability to beat an average response, with `Verdict.std`. ``"win_rate"``:
            the mean outcome. ``"place"``: 1 for the first place, 0 for the last. ``"elo"``: the expected score against the mean.
        balanced: ask in both orders and take the mean; where the two disagree about the winner, it is a tie. Doubles the calls.
        rounds: of a Swiss tournament; None = ceil(log2 m) + 1.
        seed: draws the order in which responses are set, from their contents: it does not depend on their order in the call.
        prior: of the Bradley-Terry fit, in wins and losses.
        on_failure: ``"fail"``: a response one of whose comparisons FAILED is FAILED ``comparison_failed``. ``"drop"``: the
            comparison is left out, and the response is FAILED only when none is left.

    Equal responses (in all that the comparator reads) play as one. Comparisons that abstain are left out; when all of a
    response's do, it is ABSTAINED. A group of one has nothing to compare: ABSTAINED ``not_applicable``. An incomplete group is
    FAILED ``group_incomplete``, one of more than 1024 responses ``group_too_large``. Raises ContractError for numbers or words
    outside these.

    >>> from plaudit.verify import F1
    >>> better = Tournament(RewardComparator(F1(), 0), rating="place")
    >>> better([Sample("p", text, "a red house") for text in ("a house", "a red house", "none")])
    array([0.5, 1. , 0. ])
    """

    comparator: Comparator
    plan: Plan = "round_robin"
    rating: Rating = "bradley_terry"
    balanced: bool = True
    rounds: int | None = None
    seed: int = 0
    prior: float = 0.5
    on_failure: Literal["fail", "drop"] = "fail"

    example: ClassVar[Mapping[str, Any]] = {
        "comparator": {"use": "plaudit.compose:RewardComparator", "reward": {"use": "verify.f1"}}
    }

    def __post_init__(self) -> None:
        where = "compose.tournament"
        if not isinstance(self.comparator, Comparator):
            raise ContractError(f"{where}: comparator is {type(self.comparator).__name__}: expected a Comparator")
        known = {
            "plan": ("round_robin", "knockout", "swiss", "merge_sort"),
            "rating": ("place", "win_rate", "bradley_terry", "elo"),
            "on_failure": ("fail", "drop"),
        }
        for name, words in known.items():
            if getattr(self, name) not in words:
                raise ContractError(f"{where}: {name} is {getattr(self, name)!r}: expected one of {', '.join(words)}")
        checked_number(where, "prior", self.prior, low=np.nextafter(0, 1))
        if self.rounds is not None and self.rounds < 1:
            raise ContractError(f"{where}: rounds is {self.rounds}: expected at least 1, or None")

    @property
    def facts(self) -> Facts:
        """Range (0, 1); group scope; io lane."""
        inner = self.comparator.facts
        reads = inner.reads | GroupNumber().facts.reads
        return Facts(
            range=(0.0, 1.0), scope="group", reads=reads, lane="io", deterministic=inner.deterministic, stateful=inner.stateful
        )  # fmt: skip

    async def ascore_batch(self, samples: Sequence[Sample], context: Context) -> list[Verdict]:
        """Verdicts of whole groups; the rounds of all groups in the call run side by side."""
        tables = []
        index = group_index(samples)
        for number in range(int(index.max()) + 1 if len(index) else 0):
            rows = np.flatnonzero(index == number).tolist()
            tables.append(_Table(self, [samples[i] for i in rows], rows))
        while due := [table for table in tables if table.games]:
            asked = [pair for table in due for pair in table.pairs()]
            said = await self.comparator.acompare(asked, context)
            at = 0
            for table in due:
                n = len(table.games) * (2 if self.balanced else 1)
                table.enter(said[at : at + n])
                at += n
        verdicts: dict[int, Verdict] = {}
        for table in tables:
            verdicts.update(table.verdicts())
        return [verdicts[i] for i in range(len(samples))]


class _Table:
    """One group at play."""

    def __init__(self, rules: Tournament, samples: list[Sample], rows: list[int]) -> None:
        self.rules, self.rows = rules, rows
        digests = [_digest(sample, rules.comparator.facts.reads, rules.seed) for sample in samples]
        order = sorted(set(digests))
        self.player = [order.index(d) if len(order) <= MOST else 0 for d in digests]
        first = {digest: k for k, digest in reversed(list(enumerate(digests)))}
        self.entrants = [samples[first[digest]] for digest in order]
        self.m = len(order)
        self.played: Games = []
        self.said: list[Preference] = []
        self.outcomes: list[float] = []
        self.costs = np.zeros((self.m, 4))
        self.places = np.zeros(self.m)
        self.games: Games = []
        self._rounds: Rounds = rounds_of(rules.plan, self.m if self.m <= MOST else 0, rules.rounds)
        self._next(None)

    def _next(self, outcomes: Floats | None) -> None:
        try:
            self.games = next(self._rounds) if outcomes is None else self._rounds.send(outcomes)
        except StopIteration as stop:
            self.games, self.places = [], stop.value

    def pairs(self) -> list[tuple[Sample, Sample]]:
        """The comparisons of the round that is due; in both orders, one after the other, when balanced."""
        pairs = []
        for a, b in self.games:
            pairs.append((self.entrants[a], self.entrants[b]))
            if self.rules.balanced:
                pairs.append((self.entrants[b], self.entrants[a]))
        return pairs

    def enter(self, said: Sequence[Preference]) -> None:
        """Take the outcomes of the round in."""
        calls = 2 if self.rules.balanced else 1
        found = []
        for k, (a, b) in enumerate(self.games):
            answers = said[k * calls : (k + 1) * calls]
            for player, answer in zip((a, b), answers, strict=False):
                self.costs[player] += (answer.cost.seconds, answer.cost.calls, answer.cost.tokens, answer.cost.money)
            found.append(settled([answer.p for answer in answers]))
            lost = next((x for x in answers if x.status is Status.FAILED), None)
            self.said.append(lost or answers[0])
        self.played += self.games
        self.outcomes += found
        self._next(np.array(found))

    def verdicts(self) -> dict[int, Verdict]:
        """The verdicts by row."""
        if len(self.rows) == 1:
            return {self.rows[0]: Verdict.abstained("not_applicable", "a group of one has nothing to compare")}
        if self.m > MOST:
            failed = Verdict.failed("group_too_large", f"{self.m} different responses: at most {MOST}")
            return dict.fromkeys(self.rows, failed)
        values, stds = self._rated()
        own: list[list[int]] = [[] for _ in range(self.m)]
        for k, (a, b) in enumerate(self.played):
            own[a].append(k)
            own[b].append(k)
        entries = [self._verdict(k, own[k], values[k], stds[k]) for k in range(self.m)]
        return {row: entries[player] for row, player in zip(self.rows, self.player, strict=True)}

    def _rated(self) -> tuple[Floats, list[float | None]]:
        m, rules, none = self.m, self.rules, [None] * self.m
        if rules.rating == "place":
            return 1.0 - self.places / max(m - 1, 1) if m > 1 else np.full(m, 0.5), list(none)
        if rules.rating == "win_rate":
            return np.nan_to_num(win_rate(m, self.played, self.outcomes), nan=0.5), list(none)
        if rules.rating == "elo":
            gap = elo(m, self.played, self.outcomes, start=0.0)
            return 1.0 / (1.0 + 10.0 ** (-gap / 400.0)), list(none)
        strength, error = bradley_terry(m, self.played, self.outcomes, rules.prior)
        value = (1.0 + np.tanh(strength / 2)) / 2
        return value, (value * (1 - value) * error).tolist()

    def _verdict(self, player: int, own: Sequence[int], value: float, std: float | None) -> Verdict:
        failed = [k for k in own if self.said[k].status is Status.FAILED]
        counted = [k for k in own if not np.isnan(self.outcomes[k])]
        seconds, calls, tokens, money = self.costs[player].tolist()
        cost = Cost(seconds, int(calls), int(tokens), money)
        details = {"comparisons": len(own), "counted": len(counted)}
        if failed and (self.rules.on_failure == "fail" or not counted):
            text = self.said[failed[0]].explanation or self.said[failed[0]].reason
            return Verdict(None, Status.FAILED, "comparison_failed", explanation=text, details=details, cost=cost)
        if own and not counted:
            return Verdict(None, Status.ABSTAINED, "all_abstained", details=details, cost=cost)
        return Verdict(float(value), std=std, details=details, cost=cost)


def settled(p: Sequence[float | None]) -> float:
    """The outcome of one comparison, or of one asked in both orders: the mean, and 0.5 where the two disagree; NaN = none.

    The second probability is that of the other response, which stands first there.

    >>> settled([1.0, 0.5]), settled([0.9, 0.9]), settled([0.9, None])
    (0.75, 0.5, nan)
    """
    if any(x is None for x in p):
        return float("nan")
    first = float(p[0] or 0.0)
    if len(p) == 1:
        return first
    second = 1.0 - float(p[1] or 0.0)
    return 0.5 if (first - 0.5) * (second - 0.5) < 0 else (first + second) / 2


def _digest(sample: Sample, reads: frozenset[str], seed: int) -> bytes:
    """What the comparator can tell samples apart by, stirred with the seed."""
    found = blake2b(str(seed).encode(), digest_size=16)
    for name in sorted(reads | {"response"}):
        if name.startswith(("models.", "context.")):
            continue
        value = sample.meta.get(name[5:]) if name.startswith("meta.") else getattr(sample, name)
        if isinstance(value, np.ndarray):
            value = value.tolist()
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=repr)
        found.update(f"{name}:{len(text)}:".encode() + text.encode("utf-8", "surrogatepass"))
    return found.digest()
