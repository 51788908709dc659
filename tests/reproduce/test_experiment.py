"""What may be declared an experiment, and what it may return."""

import math

import numpy as np
import pytest

from plaudit.errors import ContractError
from plaudit.reproduce import Experiment, Progress, Trial, experiment


def declared(function=lambda seed, progress: Trial(1, 0, "points"), **options):
    options = {"systems": [99], "claim": "It is so.", "seconds": 10, **options}
    function.__name__ = options.pop("name", "some_claim")
    return experiment(options.pop("systems"), options.pop("claim"), **options)(function)


def test_an_experiment_is_named_after_its_function_and_called_like_it():
    each = declared(name="only_accurate__rewards_help")
    assert isinstance(each, Experiment)
    assert each.name == "only-accurate-rewards-help"
    assert (each.systems, each.seeds, each.threshold) == ((99,), (0, 1, 2), 0.0)
    assert each(0).effect == 1


def test_the_scale_reaches_a_function_that_takes_one():
    each = declared(lambda seed, progress, *, scale=1.0: Trial(scale, 0, "points"), smoke=True, seeds=(0, 1))
    assert (each(0).effect, each(0, scale=0.1).effect) == (1.0, 0.1)
    assert each.smoke_seconds == pytest.approx(10 / 2 * 0.1)
    assert declared(seeds=(0, 1)).smoke_seconds == 5


def test_progress_is_heard():
    heard = []
    each = declared(lambda seed, progress: progress("half", 0.5) or Trial(1, 0, "points"))
    each(0, Progress(lambda said, done: heard.append((said, done))))
    assert heard == [("half", 0.5)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"systems": [293]}, "system 293"),
        ({"systems": [-1]}, "system -1"),
        ({"claim": "  "}, "no claim"),
        ({"seeds": ()}, "seeds"),
        ({"seeds": (1, 1)}, "seeds"),
        ({"seconds": 0}, "seconds"),
        ({"seconds": math.nan}, "seconds"),
        ({"smoke": 2}, "smoke=2"),
        ({"smoke": True}, "takes no `scale`"),
    ],
)
def test_a_declaration_that_cannot_be_right_is_refused(options, message):
    with pytest.raises(ContractError, match=message):
        declared(**options)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"effect": 1, "control": 0}, "no unit"),
        ({"effect": 1, "unit": "points"}, "control is nan"),
        ({"effect": math.inf, "control": 0, "unit": "points"}, "effect is inf"),
        ({"effect": 1, "control": 0, "effect_samples": [1], "unit": "points"}, "both effect and effect_samples"),
        ({"effect": 1, "control_samples": [], "unit": "points"}, "control_samples"),
        ({"effect": 1, "control_samples": [math.nan], "unit": "points"}, "control_samples"),
        ({"effect": 1, "control_samples": [[1]], "unit": "points"}, "control_samples"),
        ({"effect": 1, "control": 0, "unit": "points", "details": {"x": {1, 2}}}, "no JSON"),
        ({"effect": 1, "control": 0, "unit": "points", "details": {"x": math.nan}}, "no JSON"),
        ({"effect": 1, "control": 0, "unit": "points", "curves": {"x": [[1]]}}, "curve 'x'"),
        ({"effect": 1, "control": 0, "unit": "points", "curves": {"x": np.zeros(10**6)}}, "curve 'x'"),
    ],
)
def test_a_trial_that_cannot_be_kept_is_refused(fields, message):
    with pytest.raises(ContractError, match=message):
        Trial(**fields)


def test_numpy_values_and_gaps_in_curves_become_json():
    trial = Trial(np.float32(1), 0, "points", {"n": np.int64(3), "all": np.arange(2)}, {"gain": [0, math.nan, 2]})
    assert trial.details == {"n": 3, "all": [0, 1]}
    assert trial.curves == {"gain": [0, None, 2]}


def test_an_experiment_that_returns_something_else_breaks_its_contract():
    with pytest.raises(ContractError, match="returned float"):
        declared(lambda seed, progress: 0.5)(0)
