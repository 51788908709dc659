"""Functions are welcome: `@reward` turns one into a reward."""

import asyncio
import pickle
from fractions import Fraction

import cloudpickle
import numpy as np
import pytest

from plaudit import Context, Sample, Status, Verdict
from plaudit.errors import ContractError
from plaudit.reward import reward
from plaudit.reward._foreign import make_foreign  # noqa: F401  (its own tests are in test_foreign.py)

SAMPLE = Sample("p", "r", "ref", id="a", group="g", tokens=np.arange(2), finish="stop", meta={"level": 3, "prompt": "shadowed"})


def test_a_function_gets_what_its_signature_names():
    @reward(range=(0, 1))
    def everything(prompt, response, reference, id, group, tokens, finish, level, context, absent="default", **columns):
        assert (prompt, response, reference, id, group, len(tokens), finish, level) == ("p", "r", "ref", "a", "g", 2, "stop", 3)
        assert isinstance(context, Context)
        assert absent == "default"
        assert columns == {}
        return 1.0

    assert everything.score([SAMPLE]).values == [1.0]
    assert everything.facts.reads >= {"prompt", "response", "reference", "id", "group", "tokens", "finish", "meta.level", "meta"}
    assert {"context.step", "context.seed"} <= everything.facts.reads


def test_columns_that_nobody_names_go_to_the_keywords():
    assert reward(lambda **columns: float(len(columns)), range=(0, 9)).score([SAMPLE]).values == [2.0]


def test_keyword_only_parameters_and_whole_columns_work():
    @reward(range=(0, 99))
    def f(*, response, meta):
        return float(meta["level"])

    assert f.score([SAMPLE]).values == [3.0]


def test_a_column_that_is_not_there_fails_the_sample_and_names_it():
    @reward(range=(0, 9))
    def f(level):
        return float(level)

    verdicts = f.score([SAMPLE, Sample("p", "r")])
    assert verdicts.values[0] == 3.0
    assert verdicts[1].reason == "column_missing"
    assert "'level'" in verdicts[1].explanation


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1.0), (True, 1.0), (0.5, 0.5), (np.float32(0.5), 0.5), (np.int64(1), 1.0), (np.bool_(False), 0.0),
        (np.array(0.25), 0.25), (Fraction(1, 2), 0.5), (Verdict(0.75, answer="x"), 0.75),
    ],
)  # fmt: skip
def test_every_number_is_a_value(value, expected):
    verdict = reward(lambda response: value, range=(0, 1)).one("p", "r")
    assert verdict.value == expected
    assert type(verdict.value) is float


def test_none_abstains_and_a_verdict_is_taken_as_it_is():
    assert reward(lambda response: None, range=(0, 1)).one("p", "r").status is Status.ABSTAINED
    assert reward(lambda response: Verdict.failed("solver_unknown"), range=(0, 1)).one("p", "r").reason == "solver_unknown"


@pytest.mark.parametrize("value", ["1.0", [1.0], {"score": 1.0}, np.array([1.0]), object()])
def test_anything_else_is_an_error_that_says_what_came(value):
    f = reward(lambda response: value, range=(0, 1))
    with pytest.raises(ContractError, match="expected a number, None or a Verdict"):
        f.score([SAMPLE, SAMPLE])
    assert "expected a number" in f.one("p", "r").explanation


def test_an_async_function_goes_to_the_io_lane():
    @reward(range=(0, 1))
    async def f(response):
        await asyncio.sleep(0)
        return 0.5

    assert f.facts.lane == "io"
    assert f.score([SAMPLE] * 3).values.tolist() == [0.5] * 3


def test_a_plain_function_that_returns_a_coroutine_is_told_to_be_given_itself():
    made = []

    async def inner(response):
        return 1.0

    def outer(response):
        made.append(inner(response))
        return made[-1]

    assert "async function itself" in reward(outer, range=(0, 1)).one("p", "r").explanation
    made[0].close()


def test_a_batch_function_gets_lists_under_plural_or_singular_names():
    @reward(range=(0, 99), batch=True)
    def f(responses, prompts, references, level, context):
        assert (prompts, references, level) == (["p"] * 2, ["ref"] * 2, [3, 3])
        return np.array([len(r) for r in responses], dtype=float)

    assert f.score([SAMPLE, SAMPLE]).values.tolist() == [1, 1]


def test_a_batch_function_with_a_missing_column_scores_the_other_samples():
    @reward(range=(0, 99), batch=True)
    def f(responses, level):
        return [float(x) for x in level]

    verdicts = f.score([SAMPLE, Sample("p", "r"), SAMPLE])
    assert verdicts.reason[1] == "column_missing"
    assert verdicts.values[[0, 2]].tolist() == [3, 3]
    assert list(f.score([Sample("p", "r")]).reason) == ["column_missing"]


@pytest.mark.parametrize("lane", ["inline", "cpu"])
@pytest.mark.parametrize("value", [lambda n: 1.0, lambda n: [1.0], lambda n: None, lambda n: ["1"] * n])
def test_a_batch_function_returns_one_value_for_each_sample(value, lane):
    f = reward(lambda responses: value(len(responses)), range=(0, 1), batch=True, lane=lane)
    with pytest.raises(ContractError, match=r"for 3 samples|expected a number"):
        f.score([SAMPLE] * 3)


def test_a_group_function_sees_whole_groups():
    @reward(range=(0, 9), scope="group", batch=True, lane="gpu")
    def size(responses):
        return [float(len(responses))] * len(responses)

    samples = [Sample("p", "r", group=g) for g in "aab"]
    assert size.score(samples[::-1]).n_scored == 3


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"lane": "io"}, "async lives on the io lane"),
        ({"scope": "group"}, "needs batch=True"),
        ({"lane": "gpu"}, "needs batch=True"),
        ({"colour": "blue"}, "unknown colour; known: name, "),
        ({"lane": "disk"}, "expected one of"),
        ({"range": (1, 0)}, "lo <= hi"),
        ({"range": (float("nan"), 0)}, "lo <= hi"),
        ({"timeout": -1, "lane": "cpu"}, "positive number"),
        ({"timeout": 1}, "nothing can interrupt"),
    ],
)
def test_facts_that_do_not_fit_are_refused(facts, said):
    with pytest.raises(ContractError, match=said):
        _ = reward(lambda response: 1.0, **facts).facts


def test_an_async_function_in_a_batch_or_on_another_lane_is_refused():
    async def f(response):
        return 1.0

    with pytest.raises(ContractError, match="leave batch out"):
        reward(f, batch=True)
    with pytest.raises(ContractError, match="io lane"):
        reward(f, lane="cpu")


def test_what_is_no_function_is_refused():
    with pytest.raises(ContractError, match="not callable"):
        reward(5)
    with pytest.raises(ContractError, match="is a reward already"):
        reward(reward(lambda response: 1.0))

    def positional(response, /):
        return 1.0

    with pytest.raises(ContractError, match="positional-only"):
        reward(positional, range=(0, 1)).score([SAMPLE])


def test_bare_with_facts_or_called_it_is_the_same_decorator():
    def f(response):
        return 1.0

    assert reward(f).name == reward()(f).name == "f"
    assert reward(f, name="given").name == "given"
    assert reward(lambda response: 1.0).name == "function"


def test_callable_objects_and_partials_are_functions():
    class Scorer:
        def __call__(self, response):
            return float(len(response))

    assert reward(Scorer(), range=(0, 9)).one("p", "abc").value == 3.0
    assert reward(Scorer(), range=(0, 9)).name == "Scorer"


@reward(range=(0, 9))
def decorated(response):
    return float(len(response))


def test_a_decorated_function_is_pickled_by_name():
    assert pickle.loads(pickle.dumps(decorated)) is decorated
    assert pickle.loads(pickle.dumps(decorated + decorated.named("again"))).fingerprint


def test_a_local_function_is_pickled_by_value():
    k = 3
    f = reward(lambda response: float(k), range=(0, 9))
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(f)
    moved = cloudpickle.loads(cloudpickle.dumps(f))
    assert moved.score([SAMPLE]).values == [3.0]


@pytest.mark.parametrize("lane", ["inline", "cpu"])
def test_a_function_gets_the_samples_own_objects_or_copies_but_never_wrong_ones(lane):
    f = reward(lambda response, reference: float(sum(reference)), range=(0, 99), lane=lane)
    samples = [Sample("p", "r", [k, k]) for k in range(20)]
    assert f.score(samples).values.tolist() == [2.0 * k for k in range(20)]
