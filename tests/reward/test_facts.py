"""Facts are what a reward says of itself; nonsense is refused when it is said."""

import pytest

from plaudit import Facts
from plaudit.errors import ContractError

INF = float("inf")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"range": (1, 0)}, "lo <= hi"),
        ({"range": (0, float("nan"))}, "lo <= hi"),
        ({"range": (INF, INF)}, "lo <= hi"),
        ({"range": (-INF, -INF)}, "lo <= hi"),
        ({"scope": "world"}, "sample', 'group', 'batch"),
        ({"lane": "fast"}, "inline', 'cpu', 'io', 'gpu"),
        ({"reads": {"respons"}}, "'respons'"),
        ({"reads": {"meta.x", "colour"}}, "'colour'"),
        ({"timeout": 0}, "timeout is 0: expected a positive number"),
        ({"batch_size": -1}, "batch_size"),
        ({"max_in_flight": 0}, "max_in_flight"),
    ],
)
def test_nonsense_is_refused_by_the_name_of_the_fact(fields, said):
    with pytest.raises(ContractError, match=said):
        Facts(**fields)


@pytest.mark.parametrize(
    ("range", "bottom"), [((0, 1), 0.0), ((-1, 0), -1.0), ((-INF, 0), None), ((0, INF), 0.0), (None, None), ((2, 2), 2.0)]
)
def test_the_bottom_is_the_lowest_value_where_there_is_one(range, bottom):
    assert Facts(range=range).bottom == bottom


def test_the_defaults_claim_little():
    facts = Facts()
    assert facts.range is None
    assert (facts.scope, facts.lane, facts.deterministic, facts.stateful) == ("sample", "inline", True, False)
    assert facts.reads == {"prompt", "response", "reference"}
    assert facts == Facts(reads=["reference", "response", "prompt"])
    assert Facts(reads={"meta.level", "models.policy", "context.step", "tokens"}).reads
