"""Tournaments of simulated comparators whose order, noise, position bias and cycles are known."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit import Facts, Sample
from plaudit.compose import RewardComparator, Tournament, bradley_terry, elo, play, settled, win_rate
from plaudit.errors import ContractError, DataError
from plaudit.reward import Comparator, check_reward, from_spec
from plaudit.stats import kendall
from plaudit.types import Preference, Status
from plaudit.verify import F1, Exact

PLANS = ["round_robin", "swiss", "merge_sort", "knockout"]


@dataclass(frozen=True)
class Judge(Comparator):
    """Prefers the larger number; leans to the first place by `bias`; fails on, or abstains from, the responses named."""

    bias: float = 0.0
    broken: str = ""
    silent: str = ""

    @property
    def facts(self):
        return Facts(reads={"response"})

    def compare_one(self, pair, context):
        responses = [sample.response for sample in pair]
        if self.broken and self.broken in responses:
            return Preference(None, Status.FAILED, "judge_unreachable", explanation="no answer")
        if self.silent and self.silent in responses:
            return Preference(None, Status.ABSTAINED, "not_applicable")
        gap = float(responses[0]) - float(responses[1])
        return Preference(1 / (1 + np.exp(-(gap + self.bias))))


@dataclass(frozen=True)
class Cycle(Comparator):
    """Rock, paper, scissors."""

    @property
    def facts(self):
        return Facts(reads={"response"})

    def compare_one(self, pair, context):
        a, b = ("rps".index(sample.response) for sample in pair)
        return Preference((0.5, 1.0, 0.0)[(a - b) % 3])


def group(numbers, **fields):
    return [Sample("p", str(n), **fields) for n in numbers]


def most_games(plan, m):
    log = int(np.ceil(np.log2(max(m, 2))))
    return {"round_robin": m * (m - 1) // 2, "knockout": m - 1, "merge_sort": m * log, "swiss": m * (log + 1) // 2}[plan]


@given(
    st.permutations(range(11)).flatmap(lambda p: st.integers(1, 11).map(lambda m: [x for x in p if x < m])),
    st.sampled_from(PLANS),
)
@settings(max_examples=150)
def test_a_perfect_comparator_is_recovered_within_the_number_of_games(strength, plan):
    m = len(strength)
    places, games, _ = play(plan, m, lambda asked: np.array([float(strength[a] > strength[b]) for a, b in asked]))
    assert len(games) <= most_games(plan, m)
    assert places[int(np.argmax(strength))] == places.min()
    if plan in ("round_robin", "merge_sort"):
        assert places.tolist() == [m - 1 - s for s in strength]
    if plan != "merge_sort":
        assert len(set(games)) == len(games), "nobody meets twice"


@pytest.mark.parametrize("plan", ["swiss", "merge_sort"])
def test_comparisons_grow_as_n_log_n(plan):
    games = {m: len(play(plan, m, lambda asked: np.array([float(a > b) for a, b in asked]))[1]) for m in (64, 512)}
    assert games[512] / games[64] < 8 * 10 / 6 + 1


def noisy(m, plan, temperature, seed):
    generator = np.random.default_rng(seed)
    strength = generator.permutation(m)

    def compare(asked):
        chance = 1 / (1 + np.exp(-np.array([strength[a] - strength[b] for a, b in asked]) / temperature))
        return (generator.random(len(asked)) < chance).astype(float)

    places, games, outcomes = play(plan, m, compare)
    fitted, _ = bradley_terry(m, games, outcomes)
    return kendall(fitted, strength), kendall(-places, strength), float(places[np.argmax(strength)] < m / 4), len(games)


def test_under_noise_more_comparisons_buy_a_better_order_and_the_winner_is_mostly_kept():
    found = {plan: np.mean([noisy(16, plan, 2.0, seed) for seed in range(30)], axis=0) for plan in PLANS}
    assert found["round_robin"][0] > found["swiss"][0] > found["knockout"][0]
    assert found["round_robin"][3] == 120
    assert found["swiss"][3] <= 40
    assert found["knockout"][3] == 15
    assert min(found[plan][2] for plan in ("round_robin", "swiss")) > 0.85


@pytest.mark.parametrize("plan", ["round_robin", "swiss"])
def test_position_bias_is_taken_out_by_asking_in_both_orders(plan):
    # The bias is larger than most gaps: asked once, the judge often names the wrong one. Asked twice, those are ties.
    numbers = [3, 1, 4, 0, 2]
    fair = Tournament(Judge(bias=2.0), plan=plan, rating="place")(group(numbers))
    assert fair[2] == fair.max()
    if plan == "round_robin":
        assert kendall(fair, numbers) == pytest.approx(1.0)
    fooled = [Tournament(Judge(bias=2.0), plan=plan, rating="place", balanced=False, seed=k)(group(numbers)) for k in range(20)]
    assert min(kendall(values, numbers) for values in fooled) < 0.5


def test_where_both_orders_disagree_it_is_a_tie():
    assert Tournament(Judge(bias=50.0), rating="win_rate")(group([1, 2, 3])).tolist() == [0.5] * 3
    assert [settled([1.0, 0.0]), settled([0.6, 0.6])] == [1.0, 0.5]
    assert np.isnan(settled([None]))


@pytest.mark.parametrize("rating", ["place", "win_rate", "bradley_terry", "elo"])
def test_a_cycle_has_no_winner_in_a_round_robin(rating):
    values = Tournament(Cycle(), rating=rating)([Sample("p", r) for r in "rps"])
    assert values == pytest.approx([0.5] * 3, abs=0.05 if rating == "elo" else 1e-6)


@pytest.mark.parametrize("rating", ["place", "win_rate", "bradley_terry", "elo"])
@pytest.mark.parametrize("plan", PLANS)
def test_the_reward_does_not_depend_on_the_order_of_the_call(plan, rating):
    tournament, numbers = Tournament(Judge(), plan=plan, rating=rating), [5, 3, 8, 1, 9, 2]
    whole = tournament(group(numbers))
    for order in itertools.islice(itertools.permutations(range(6)), 0, 720, 97):
        assert tournament(group([numbers[i] for i in order])).tolist() == whole[list(order)].tolist()
    assert ((whole >= 0) & (whole <= 1)).all()
    assert whole[4] == whole.max()


def test_a_failed_comparison_fails_both_responses_unless_it_is_dropped():
    samples = group([1, 2, 3, 4])
    verdicts = Tournament(Judge(broken="4"), rating="win_rate").score(samples)
    assert verdicts.reason == ["comparison_failed"] * 4, "each of them met the one that the judge fails on"
    lenient = Tournament(Judge(broken="4"), rating="win_rate", on_failure="drop").score(samples)
    assert lenient.status.tolist() == ["scored"] * 3 + ["failed"]
    assert lenient.values[0] < lenient.values[1] < lenient.values[2]
    swiss = Tournament(Judge(broken="4"), plan="swiss", rounds=1, rating="win_rate").score(samples)
    assert (swiss.n_failed, swiss.n_scored) == (2, 2)


def test_a_comparator_that_abstains_leaves_its_comparisons_out():
    verdicts = Tournament(Judge(silent="4"), rating="win_rate").score(group([1, 2, 4]))
    assert verdicts.status.tolist() == ["scored", "scored", "abstained"]


def test_groups_play_among_themselves_incomplete_ones_fail_and_one_alone_abstains():
    samples = [
        Sample("a", "1"),
        Sample("b", "5"),
        Sample("a", "2"),
        Sample("b", "4"),
        Sample("c", "9"),
        Sample("d", "1", group_size=2),
    ]
    verdicts = Tournament(Judge(), rating="place").score(samples)
    assert verdicts.values[:4].tolist() == [0, 1, 1, 0]
    assert verdicts.reason[4:] == ["not_applicable", "group_incomplete"]
    assert Tournament(Judge()).score([]).values.tolist() == []


def test_equal_responses_play_as_one_and_earn_the_same():
    verdicts = Tournament(Judge(), rating="win_rate").score(group([1, 2, 1, 2]))
    assert verdicts.values[0] == verdicts.values[2] < verdicts.values[1] == verdicts.values[3]
    assert verdicts[0].details["comparisons"] == 1
    assert Tournament(Judge(), rating="place")(group([1, 1])).tolist() == [0.5, 0.5]


@given(st.integers(2, 8), st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.floats(0, 1)), max_size=30))
def test_bradley_terry_solves_its_own_equations_and_is_finite_on_any_record(m, record):
    games = [(a % m, b % m, p) for a, b, p in record if a % m != b % m]
    pairs, p = [(a, b) for a, b, _ in games], [x for *_, x in games]
    strength, error = bradley_terry(m, pairs, p, prior=0.5)
    assert np.isfinite(strength).all()
    assert (error > 0).all()
    for player in range(m):
        won = sum(x if a == player else 1 - x for a, b, x in games if player in (a, b)) + 0.5
        expected = sum(
            1 / (1 + np.exp(strength[b if a == player else a] - strength[player])) for a, b, _ in games if player in (a, b)
        )
        assert won == pytest.approx(expected + 1 / (1 + np.exp(-strength[player])), abs=1e-6)


def test_bradley_terry_recovers_strengths_and_its_intervals_cover_them():
    generator, covered = np.random.default_rng(0), []
    for _ in range(40):
        true = generator.normal(size=5)
        true -= true.mean()
        pairs = np.array(list(itertools.combinations(range(5), 2)) * 60)
        won = generator.random(len(pairs)) < 1 / (1 + np.exp(true[pairs[:, 1]] - true[pairs[:, 0]]))
        strength, error = bradley_terry(5, pairs, won.astype(float), prior=1e-3)
        gap, spread = strength - strength.mean() - true, error
        covered += (np.abs(gap) < 1.96 * spread).tolist()
    # Errors are those of a strength against the phantom of strength 0, wider than those of differences: cautious.
    assert np.mean(covered) >= 0.93


def test_elo_moves_by_what_was_not_expected_and_keeps_its_sum():
    ratings = elo(3, [[0, 1], [0, 1], [1, 2]], [1.0, 1.0, np.nan])
    assert ratings.sum() == pytest.approx(4500)
    assert 0 < ratings[0] - 1516 < 16
    assert ratings[2] == 1500
    assert np.isnan(win_rate(3, [[0, 1]], [1.0])[2])


@pytest.mark.parametrize(
    "call",
    [
        lambda: bradley_terry(2, [[0, 0]], [1.0]),
        lambda: bradley_terry(2, [[0, 5]], [1.0]),
        lambda: bradley_terry(2, [[0, 1]], [1.5]),
        lambda: bradley_terry(2, [[0, 1]], [1.0], prior=0),
        lambda: elo(2, [[0, 1]], [1.0], k=0),
        lambda: play("league", 3, lambda games: np.ones(len(games))),
        lambda: play("swiss", 3, lambda games: np.ones(7)),
    ],
)
def test_records_and_plans_that_do_not_fit_are_refused(call):
    with pytest.raises(DataError):
        call()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Tournament(Exact()),
        lambda: Tournament(Judge(), plan="league"),
        lambda: Tournament(Judge(), rating="best"),
        lambda: Tournament(Judge(), rounds=0),
        lambda: Tournament(Judge(), prior=0),
        lambda: RewardComparator(Tournament(Judge())),
        lambda: RewardComparator(Exact(), -1),
    ],
)
def test_tournaments_that_mean_nothing_are_refused(make):
    with pytest.raises(ContractError):
        make()


def test_a_group_that_is_too_large_is_refused_before_any_comparison():
    assert set(Tournament(Judge()).score(group(range(1100))).reason) == {"group_too_large"}


def test_a_reward_as_a_comparator_fails_and_abstains_with_it():
    compare = RewardComparator(Exact(), 0)
    right, wrong, lost = Sample("p", "4", "4"), Sample("p", "5", "4"), Sample("p", "4", None)
    found = compare.compare([(right, wrong), (wrong, right), (right, right), (right, lost)])
    assert [preference.p for preference in found] == [1.0, 0.0, 0.5, None]
    assert found[3].status is Status.FAILED


def test_it_keeps_the_contract_and_comes_back_from_its_spec():
    tournament = Tournament(RewardComparator(F1(), 0.1), plan="swiss")
    spec = {"use": "plaudit.compose:Tournament", "plan": "swiss", "comparator": tournament.comparator.spec}
    again = from_spec(spec)
    assert again.fingerprint == tournament.fingerprint
    assert from_spec(tournament.to_yaml()).fingerprint == tournament.fingerprint
    samples = [Sample(q, r, "a red house", group_size=3) for q in "pq" for r in ("a house", "a red house", "none")]
    assert check_reward(tournament, samples).ok
