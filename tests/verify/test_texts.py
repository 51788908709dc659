"""verify.regex, verify.f1, verify.choice and the further options of verify.exact."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.errors import SpecError
from plaudit.types import Context, Sample, Status
from plaudit.verify import F1, Choice, Exact, Regex
from plaudit.verify._f1 import overlap

words = st.lists(st.sampled_from("ab cd ef gh".split()), max_size=6)  # noqa: SIM905


def judge(reward, response, reference=None, **fields):
    return reward.score_one(Sample("q", response, reference, **fields), Context())


class TestRegex:
    def test_a_pattern_of_its_own_needs_no_reference(self):
        assert judge(Regex(r"\d{4}"), "2024").value == 1.0
        assert judge(Regex(r"\d{4}"), "in 2024").value == 0.0
        assert judge(Regex(r"\d{4}", match="search"), "in 2024").value == 1.0

    def test_what_its_group_captures_is_compared_and_the_last_match_counts(self):
        reward = Regex(r"answer: (?P<answer>\w+)", match="search")
        assert judge(reward, "answer: red\nanswer: blue", "blue").value == 1.0
        assert judge(reward, "answer: blue\nanswer: red", "blue").value == 0.0
        assert judge(reward, "no statement", "blue").reason == "response_no_answer"

    def test_a_pattern_that_takes_exponential_time_is_stopped(self):
        reward = Regex(r"(a+)+b", timeout=0.5)
        verdict = reward.score([Sample("q", "a" * 40)])[0]
        # On a machine so busy that the worker hardly ran, the delay is not the response's fault; it is not paid either.
        assert verdict.reason in ("response_timeout", "worker_starved")
        assert verdict.value in (0.0, None)

    def test_several_patterns_count_by_the_best_or_the_mean(self):
        assert judge(Regex(), "12", ["1.", "x"]).value == 1.0
        assert judge(Regex(several="mean"), "12", ["1.", "x"]).value == 0.5

    @pytest.mark.parametrize("fields", [{"pattern": "("}, {"timeout": 0.0}, {"rules": ()}, {"pattern": "x" * 20_000}])
    def test_bad_fields_are_refused(self, fields):
        with pytest.raises(SpecError, match=r"verify\.regex"):
            Regex(**fields)


class TestF1:
    @given(words, words)
    def test_it_is_symmetric_bounded_and_one_for_the_same_words(self, a, b):
        assert overlap(a, b) == pytest.approx(overlap(b, a))
        assert 0.0 <= overlap(a, b) <= 1.0
        assert not a or overlap(a, list(reversed(a))) == 1.0

    def test_repeating_a_word_does_not_pay(self):
        assert judge(F1(), "fox fox fox", "brown fox").value < judge(F1(), "fox", "brown fox").value

    def test_the_mean_and_the_best_of_several_references(self):
        assert judge(F1(), "fox", ["fox", "cat"]).value == 1.0
        assert judge(F1(several="mean"), "fox", ["fox", "cat"]).value == 0.5

    @pytest.mark.parametrize("fields", [{"beta": 0.0}, {"threshold": 2.0}, {"rules": ("x",)}])
    def test_bad_fields_are_refused(self, fields):
        with pytest.raises(SpecError, match=r"verify\.f1"):
            F1(**fields)


class TestChoice:
    def test_the_texts_of_the_options_may_be_repeated_instead_of_the_letter(self):
        reward = Choice(options=3, column="options")
        meta = {"options": ["a cat", "a dog", "a hen"]}
        assert judge(reward, r"\boxed{a dog}", "B", meta=meta).value == 1.0
        assert judge(reward, r"\boxed{a hen}", "B", meta=meta).value == 0.0
        assert judge(reward, r"\boxed{B}", "B").reason == "column_missing"

    def test_letters_beyond_the_options_are_no_answer(self):
        assert judge(Choice(options=3), r"\boxed{D}", "C").reason == "response_unparsable"
        assert judge(Choice(options=3), "C", "D").status is Status.FAILED

    def test_bad_fields_are_refused(self):
        with pytest.raises(SpecError, match=r"verify\.choice"):
            Choice(options=1)


class TestExact:
    def test_further_steps_of_normalisation(self):
        assert judge(Exact(ignore_punctuation=True), "Paris!", "Paris").value == 1.0
        assert judge(Exact(ignore_articles=True), "the fox", "fox").value == 1.0

    def test_an_answer_may_be_extracted(self):
        reward = Exact(rules=("boxed", "tag"))
        assert judge(reward, r"\boxed{red} no: \boxed{blue}", "blue").value == 1.0
        assert judge(reward, "blue", "blue").reason == "response_no_answer"
        assert judge(reward, r"\boxed{blue", "blue").value == 0.0

    def test_the_mean_of_several_references(self):
        assert judge(Exact(several="mean"), "a", ["a", "b"]).value == 0.5

    def test_bad_fields_are_refused(self):
        with pytest.raises(SpecError, match=r"verify\.exact"):
            Exact(rules=("box",))
