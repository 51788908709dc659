"""What the prompt and a notebook show of the objects of the contract."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from report.runs import HOSTILE, SPEC

from plaudit.report import heat_of, render
from plaudit.reward import Comparator, Facts, Reward, address_field, from_spec, reward
from plaudit.types import Completion, Cost, Dense, Sample, Verdict, Verdicts, _display
from plaudit.verify import Exact

SAMPLE = Sample("3+4*5=?\n", "4*5=20\n3+20=24\n#### 24", reference="23", id="slip")


@pytest.fixture(scope="module")
def total() -> Any:
    return from_spec(SPEC)


class TestAtThePrompt:
    def test_a_verdict_is_one_short_line(self, total: Any) -> None:
        assert repr(Verdict(0.5)) == "Verdict(0.5)"
        assert repr(Verdict.failed("worker_lost")) == "Verdict(FAILED, 'worker_lost')"
        assert repr(total.score([SAMPLE])[0]) == "Verdict(0.166667, parts(correct=0, steps=0.3333), answer='24')"

    def test_a_megabyte_does_not_flood_it(self) -> None:
        big = "x" * 1_000_000
        deep = Verdict(1.0, parts={f"p{k}": Verdict(1.0) for k in range(1000)}, answer=big, explanation=big,
                       dense=Dense("step", np.zeros(9999), np.arange(9999), np.arange(9999) + 1))  # fmt: skip
        for thing in (deep, Sample(big, big, reference=big), Exact()):
            assert len(repr(thing)) < 400

    def test_a_sample_shows_how_its_texts_begin(self) -> None:
        assert repr(SAMPLE).startswith("Sample('3+4*5=?\\n', '4*5=20")
        assert repr(Sample([{"role": "user", "content": "x"}], "y")) == "Sample(<1 messages>, 'y')"

    def test_a_reward_shows_the_fields_that_were_set(self) -> None:
        assert repr(Exact()) == "Exact()"
        assert repr(Exact(ignore_case=True)) == "Exact(ignore_case=True)"

    def test_a_tree_shows_its_operands_and_their_weights(self, total: Any) -> None:
        assert repr(total) == "Sum(correct, 0.5 × steps)"
        assert repr(total.clip(0, 1)) == "Clip(sum, low=0.0, high=1.0)"
        assert repr(total.named("all")) == "Named(all)"

    def test_addresses_are_not_shown_and_a_class_keeps_its_own_line(self) -> None:
        @dataclass(frozen=True)
        class Remote(Reward):
            url: str = address_field(default="")
            sizes: dict[str, int] = field(default_factory=dict)

            @property
            def facts(self) -> Facts:
                return Facts()

            def score_one(self, sample: Sample, context: Any) -> Verdict:
                return Verdict(1.0)

        @dataclass(frozen=True)
        class Own(Remote):
            def __repr__(self) -> str:
                return "mine"

        @dataclass(frozen=True)
        class Below(Own):
            pass

        assert repr(Remote("http://me:secret@host", {"a": 1})) == "Remote(sizes={'a': 1})"
        assert repr(Own()) == repr(Below()) == "mine"

    def test_a_comparator_has_the_same_manners(self) -> None:
        @dataclass(frozen=True)
        class Shorter(Comparator):
            margin: float = 0.0

            @property
            def facts(self) -> Facts:
                return Facts()

            def compare_one(self, pair: Any, context: Any) -> Any:
                raise NotImplementedError

        assert repr(Shorter(0.5)) == "Shorter(margin=0.5)"
        assert "fingerprint" in Shorter()._repr_html_()


class TestInANotebook:
    def test_every_object_of_the_contract_draws_itself(self, total: Any) -> None:
        many = total.score([SAMPLE, Sample("what?", "x"), SAMPLE])
        whole = Verdict(0.5, std=0.1, confidence=0.9, cost=Cost(1, 2, 3, 4), details={"a": [1]})
        for thing, word in (
            (many, "correct"), (many[0], "steps"), (total, "fingerprint"), (SAMPLE, "Reference"), (Exact(), "verify.exact"),
            (total.explain(SAMPLE), "correct"), (reward(lambda response: 1.0), "It has no spec"), (whole, "confidence"),
            (Verdicts.of([]), "no rows"), (Completion("4", reasoning="2+2"), "Thinking"),
        ):  # fmt: skip
            drawn = render(thing)
            assert word in drawn
            assert drawn.startswith("<style>")
            assert thing._repr_html_() == drawn

    def test_text_of_a_model_stays_text(self) -> None:
        nasty = Verdict(
            1.0, parts={HOSTILE: Verdict(0.0, answer=HOSTILE)}, answer=HOSTILE, explanation=HOSTILE, details={HOSTILE: HOSTILE}
        )
        for thing in (
            nasty,
            Verdicts.of([nasty]),
            Sample(HOSTILE, [{"role": HOSTILE, "content": HOSTILE}], id=HOSTILE, reference=HOSTILE),
        ):
            drawn = thing._repr_html_()
            assert "<script" not in drawn
            assert "<img" not in drawn
        assert "<script" not in render(Completion(HOSTILE, reasoning=HOSTILE))

    def test_the_rewards_of_steps_stand_on_the_text(self, total: Any) -> None:
        drawn = heat_of(SAMPLE, total.score([SAMPLE])[0])
        assert 'title="step 1: 1"' in drawn
        assert 'title="step 2: 0"' in drawn
        assert "no dense reward" in heat_of(SAMPLE, Verdict(1.0))

    def test_other_things_are_refused_by_name(self) -> None:
        with pytest.raises(TypeError, match="int: expected one of Verdict"):
            render(3)

    def test_without_a_renderer_it_is_the_escaped_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_display, "_renderer", lambda: None)
        assert Verdict(1.0, answer="<b>")._repr_html_() == "<pre>Verdict(1, answer=&#x27;&lt;b&gt;&#x27;)</pre>"


class TestNothingElseChanged:
    def test_objects_travel_and_stay_without_a_dictionary(self, total: Any) -> None:
        for thing in (Verdict(1.0, answer="a"), SAMPLE):
            assert not hasattr(thing, "__dict__")
            assert repr(pickle.loads(pickle.dumps(thing))) == repr(thing)
            assert repr(copy.deepcopy(thing)) == repr(thing)
        assert not hasattr(Verdicts.of([Verdict(1.0)]), "__dict__")
        assert pickle.loads(pickle.dumps(total)).fingerprint == total.fingerprint

    def test_verdicts_are_compared_by_identity_as_before(self) -> None:
        assert Verdict(1.0) != Verdict(1.0)
        assert len({Verdict(1.0), Verdict(1.0)}) == 2

    def test_importing_the_types_does_not_import_the_report(self) -> None:
        code = "import plaudit, plaudit.types, plaudit.reward, sys; sys.exit('plaudit.report' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
