"""Every registered reward keeps the contract, judges its golden samples rightly and gives its hacks nothing.

A reward NAME needs the file ``tests/fixtures/NAME.py`` (dots as underscores) with REWARD, GOLDEN and HACKS, which are arguments
of `plaudit.testing.RewardTester`; a context manager ``setup()`` in it may start what the reward talks to, and REWARD may then be
a function of what it yields.
"""

import contextlib
import importlib.util
import inspect
from pathlib import Path

import pytest

from plaudit import catalog
from plaudit.reward import Comparator, Reward, from_spec
from plaudit.testing import RewardTester

FIXTURES = Path(__file__).parent / "fixtures"


def load_fixture(name):
    path = FIXTURES / f"{name.replace('.', '_')}.py"
    if not path.is_file():
        pytest.fail(f"{name} is registered and has no tests/fixtures/{path.name}: write REWARD, GOLDEN and HACKS there")
    spec = importlib.util.spec_from_file_location(f"fixture_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", catalog.names())
def test_every_registered_reward_passes_its_fixture(name):
    fixture = load_fixture(name)
    with getattr(fixture, "setup", contextlib.nullcontext)() as resource:
        reward = fixture.REWARD
        reward = reward if isinstance(reward, Reward) else reward(resource)
        assert catalog.load(catalog.REWARDS, name) is type(reward), f"the fixture tests {type(reward).__name__}, not {name}"
        options = {
            option: getattr(fixture, option.upper())
            for option in ("reference", "context", "tolerance", "thorough")
            if hasattr(fixture, option.upper())
        }
        report = RewardTester(reward, golden=fixture.GOLDEN, hacks=fixture.HACKS, **options).run()
        assert report["golden"].result == "ok", "a fixture without golden samples tests nothing"
        assert report["hacks"].result == "ok", "a fixture without hacks shows nothing about being fooled"
        assert report["process"].result == "ok"


@pytest.mark.parametrize("name", catalog.names())
def test_every_registered_reward_has_a_class_that_documents_itself_and_an_example_that_works(name):
    cls = catalog.load(catalog.REWARDS, name)
    assert issubclass(cls, (Reward, Comparator))
    assert inspect.getdoc(cls)
    built = from_spec({"use": name, **cls.example})
    assert type(built) is cls
    assert built.spec["use"] == name
    assert built.facts.range is not None, "a registered reward declares its range"


@pytest.mark.parametrize("name", catalog.names())
def test_the_room_of_a_registered_reward_exports_it_under_the_camel_case_of_its_name(name):
    room, _, short = name.partition(".")
    cls = catalog.load(catalog.REWARDS, name)
    module = importlib.import_module(f"plaudit.{room}")
    assert cls.__name__ in module.__all__
    assert cls.__name__.lower() == short.replace("_", "")


def test_a_fixture_that_belongs_to_no_registered_reward_is_left_over():
    known = {name.replace(".", "_") for name in catalog.names()}
    assert {path.stem for path in FIXTURES.glob("*.py")} <= known | {"__init__", "conftest"}
