"""Answers of every type that mean the same, and answers that look alike and do not."""

import threading
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metamorphic import GENERATORS

from plaudit.types import Context, Sample, Status
from plaudit.verify import Math
from plaudit.verify import _symbolic as symbolic

EQUAL = {
    "unicode": [(r"2\sqrt{113}", "2√113"), (r"45^\circ", "45°"), (r"(2,\infty)", "(2,∞)"), ("x^2", "x²"), (r"\frac12", "½")],
    "plain notation": [(r"12\pi", "12*pi"), (r"2\sqrt5", "2*sqrt(5)"), ("x^2", "x**2"), (r"\sin x", "sin(x)")],
    "digit groups": [("996000", r"996\,000"), ("6630", "6 630"), ("1000000", "1{,}000{,}000"), ("100,200", "100, 200")],
    "scientific": [("996000", "9.96e5"), (r"1.38\times10^{-23}", "1.38e-23"), (r"3\cdot10^8", "300000000")],
    "mixed numbers": [(r"\frac{14}{3}", "4 2/3"), ("1.5", "1 1/2"), (r"\frac{14}{3}", r"4\tfrac{2}{3}")],
    "repeating decimals": [
        (r"\frac13", r"0.\overline{3}"),
        (r"\frac13", r"0.333\ldots"),
        (r"\frac16", "0.1666..."),
        (r"\frac16", r"0.1\overline{6}"),
    ],
    "long decimals": [(r"\frac49", "0.444444444444"), (r"\sqrt2", "1.41421356237"), ("0.8660254037844386", r"\frac{\sqrt3}{2}")],
    "intervals": [
        ("[1,\\infty)", r"x \ge 1"),
        ("(-1,1)", "|x|<1"),
        (r"(2,\infty)", r"\{x \in \mathbb{R} \mid x>2\}"),
        ("2x+1<5", "x<2"),
    ],
    "exact numbers": [
        (r"\frac{1+\sqrt5}{4}", r"\cos 36^\circ"),
        (r"2-\sqrt3", r"\tan 15^\circ"),
        ("-1", r"e^{i\pi}"),
        ("2i", "(1+i)^2"),
        (r"\sqrt[3]{2+\sqrt5}+\sqrt[3]{2-\sqrt5}", "1"),
        (r"\sqrt{5+2\sqrt6}", r"\sqrt2+\sqrt3"),
    ],
    "complex": [("6-5i", "6 - 5 i"), ("6-5i", "-5i+6")],
    "units": [
        (r"10\text{ weeks}", "10 weeks"),
        (r"12\pi\text{ cm}^2", "12\\pi cm^2"),
        ("2 h", "120 min"),
        ("10", r"\$10"),
        ("5 km", "5000 m"),
    ],
    "times and bases": [("20:34", "08:34 P.M."), ("1100_2", "12_{10}"), ("12", "12_{10}")],
    "vectors": [
        ("(1,2)", r"\langle 1,2\rangle"),
        (r"\langle 2,3\rangle", r"2\mathbf{i}+3\mathbf{j}"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", "(1,2)"),
    ],
    "counting": [("120", "C_{10}^{3}"), ("20", "A_5^2"), ("1", r"7 \bmod 3"), ("120", "5!")],
    "definitions": [
        ("f(x)=x^2", "f(t)=t^2"),
        ("x^2", "f(x)=x^2"),
        ("5", "x=5"),
        ("(3,4)", "(x,y)=(3,4)"),
        ("y=2x+3", "f(x)=2x+3"),
    ],
    "constants of integration": [(r"\frac{x^2}{2}+C", r"\frac12x^2+K")],
    "identities": [
        (r"\ln(ab)", r"\ln a+\ln b"),
        (r"\tan x", r"\frac{\sin x}{\cos x}"),
        (r"\sqrt{x^2}", "|x|"),
        ("e^{x+y}", "e^xe^y"),
    ],
    "equations": [("2x+4y-3=0", r"y=-\frac12x+\frac34"), ("x^2/4+y^2/3=1", "x^2/16+y^2/12=1/4"), ("a<b", "b>a")],
    "lists and sets": [("1,2,3", r"\{3,2,1\}"), (r"\pm 3", "3,-3"), (r"\emptyset", r"\{\}"), (r"\{1\}", "1"), ("3:4", "6:8")],
    "texts and choices": [
        (r"\text{Yes}", "yes."),
        ("A", "(A)"),
        ("A", "A. 12"),
        (r"\text{no solution}", "No solution"),
        ("true", r"\text{True}"),
    ],
    "chains": [("5", "2+3=5"), (r"\frac23", r"\frac23\approx 0.667"), ("4/23", r"\frac{8}{46}=\frac{4}{23}")],
}

UNEQUAL = {
    "tiny numbers": [
        ("0.0000001", "0.0000002"),
        (r"\frac{1}{2004!}", r"\frac{1}{2006!}"),
        ("2^{-99}", "2^{-98}"),
        ("0", "10^{-9}"),
    ],
    "huge numbers": [("2^{10^9}", "2^{10^9}+1"), ("10^{30}", "10^{30}+1"), ("9^{9^9}", "9^{9^9}-1")],
    "near misses": [
        (r"\ln 640320^3+744", r"\pi\sqrt{163}"),
        (r"e^{\pi\sqrt{163}}", "262537412640768744"),
        (r"[2^{\frac{1}{2^{1000}}},\infty)", r"[1,\infty)"),
    ],
    "rounding": [
        (r"\frac13", "0.333333"),
        (r"\pi", "3.14159"),
        ("0.1", "0.10000000001"),
        (r"\pi", r"\frac{22}{7}"),
        ("0.3", "0.30000000000000004"),
    ],
    "chains": [("5", "4=5"), ("5", "2=3=4=5"), ("721", r"\approx 721.04"), (r"\frac13", r"\frac13\approx 0.34")],
    "sequences": [(r"1:2:3:\ldots", r"1:4:9:\ldots"), (r"1,2,3,\ldots", r"1,2,4,\ldots")],
    "types": [(r"\{1,2\}", "(1,2)"), ("5", "5,5"), ("5", r"\{5,6\}"), ("101", "101_2"), ("0", r"\emptyset"), ("(1,2)", "[1,2]")],
    "domains": [
        (r"\sqrt{x^2}", "x"),
        (r"\lfloor x\rfloor", "x"),
        ("n!", "n^n"),
        ("(-1)^n", "1"),
        (r"\frac{1}{x}+\frac{1}{y}", r"\frac{1}{x+y}"),
    ],
    "units": [("5 km", "5 m"), (r"50\%", "0.5"), ("$18", "18 cents"), ("20:34", "08:34 A.M.")],
    "lists": [(r"\pm 3", "3"), ("5", r"\pm 5"), ("(1,2,3)", "(3,2,1)"), ("1,2", "1,2,3")],
    "names": [("x=5", "y=5"), ("a_1", "a_2"), ("x'", "x"), (r"\vec{a}", r"\vec{b}"), ("x>2", "y>2"), (r"\sin x", r"\sin y")],
    "texts": [("yes", "no"), ("yes", "yes or no"), ("even", "not even"), ("cat", "act"), (r"\text{odd}", r"\text{oddd}")],
    "infinity": [(r"\infty", r"-\infty"), ("5", r"\infty"), ("1/0", "2/0"), (r"\frac00", "0")],
    "opaque functions": [("I(0)e^{-t}", "I(0)e^{t}"), ("f(x)=x^2", "f(t)=t^3"), ("f(2)<f(1)", "f(1)<f(2)")],
    "malformed": [("4", r"4\sqrt(2)"), ("(a+5)(b+2)", "(+5)(b+2)x"), ("5", "5+"), ("5", "5)"), ("5", "{5")],
}


def value(gold, answer, **options):
    verdict = Math(**options).score_one(Sample("q", f"\\boxed{{{answer}}}", gold), Context())
    assert verdict.status is Status.SCORED, verdict
    return verdict.value


def rows(table):
    return [
        pytest.param(gold, answer, id=f"{kind}: {gold} ~ {answer}") for kind, pairs in table.items() for gold, answer in pairs
    ]


@pytest.mark.parametrize(("gold", "answer"), rows(EQUAL))
def test_answers_that_mean_the_same_are_right_either_way_round(gold, answer):
    assert value(gold, answer) == 1.0
    assert value(answer, gold) == 1.0


@pytest.mark.parametrize(("gold", "answer"), rows(UNEQUAL))
def test_answers_that_look_alike_are_wrong_either_way_round(gold, answer):
    assert value(gold, answer) == 0.0
    if answer.count("{") == answer.count("}") and answer[-1] not in "+)":
        assert value(answer, gold) == 0.0


@pytest.mark.parametrize("kind", GENERATORS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_generated_pairs_get_the_label_that_is_true_by_construction(kind, seed):
    for gold, answer, equal in GENERATORS[kind](Random(seed)):
        assert value(gold, answer) == float(equal), (gold, answer, equal)


@pytest.mark.parametrize(("gold", "answer"), [("3,5", "5,3"), ("1,2,3", "3,1,2")])
def test_the_order_of_a_bare_list_is_a_convention(gold, answer):
    assert value(gold, answer) == 1.0
    assert value(gold, answer, order="kept") == 0.0


def test_a_member_that_is_said_twice_adds_nothing_unless_the_reference_counts_it():
    assert value("2,3", "2,2,3") == 1.0
    assert value("2,2,3", "2,3") == 0.0
    assert value("2,2,3", "2,3,3") == 0.0


def test_unfinished_arithmetic_is_a_convention():
    assert value("42", r"6 \times 7") == 0.0
    assert value("42", r"6 \times 7", arithmetic="any") == 1.0
    assert value(r"6 \times 7", "42") == 1.0


def test_how_many_digits_make_a_decimal_exact_is_a_convention():
    assert value(r"\frac13", "0.3333") == 0.0
    assert value(r"\frac13", "0.3333", digits=4) == 1.0
    assert value(r"\frac13", "0.333333333333", digits=30) == 0.0


STAGES = [
    ("42", "42", "identical"),
    ("42", "84/2", "rational"),
    (r"\frac13", "0.333333333333", "decimal"),
    (r"\sqrt{12}", r"2\sqrt3", "numeric"),
    ("2^{10^9}", r"2\cdot 2^{10^9-1}", "modular"),
    ("(-1,1)", "|x|<1", "typed"),
    ("yes", "YES", "text"),
]


@pytest.mark.parametrize(("gold", "answer", "stage"), STAGES)
def test_the_verdict_names_the_stage_that_decided(gold, answer, stage):
    assert Math().score_one(Sample("q", f"\\boxed{{{answer}}}", gold), Context()).details["stage"] == stage


class TestSymbolicStage:
    CALCULUS = (
        (r"\frac13", r"\int_0^1 x^2\,dx"),
        ("1", r"\lim_{x\to0}\frac{\sin x}{x}"),
        (r"\frac{\pi^2}{6}", r"\sum_{n=1}^{\infty}\frac{1}{n^2}"),
        (r"\frac{x^2}{2}+C", r"\int x\,dx"),
        ("2x", r"\frac{d}{dx} x^2"),
    )

    @pytest.mark.parametrize(("gold", "answer"), CALCULUS)
    def test_calculus_is_decided_by_sympy(self, gold, answer):
        pytest.importorskip("sympy")
        math = Math(symbolic=10.0)
        verdict = math.score_one(Sample("q", f"\\boxed{{{answer}}}", gold), Context())
        assert (verdict.value, verdict.details["stage"]) == (1.0, "symbolic")
        assert math.score_one(Sample("q", f"\\boxed{{{answer}}}", "17"), Context()).value == 0.0

    def test_without_sympy_the_fast_stages_work_and_the_verdict_says_what_is_missing(self, monkeypatch):
        monkeypatch.setattr(symbolic.importlib.util, "find_spec", lambda name: None)
        assert value(r"2\sqrt3", r"\sqrt{12}") == 1.0
        verdict = Math().score_one(Sample("q", r"\boxed{\int_0^1 x^2\,dx}", "1/3"), Context())
        assert (verdict.value, verdict.reason) == (0.0, "response_unparsable")
        assert "plaudit[math]" in verdict.explanation

    def test_without_the_stage_calculus_counts_only_as_the_same_text(self):
        assert value(r"\int_0^1 x\,dx", r"\int_0^1 x\,dx", symbolic=0) == 1.0
        assert value(r"\frac12", r"\int_0^1 x\,dx", symbolic=0) == 0.0


def test_every_thread_gets_the_same_verdicts():
    pairs = [(gold, answer) for table in (EQUAL, UNEQUAL) for pairs in table.values() for gold, answer in pairs]
    alone = [value(gold, answer) for gold, answer in pairs]
    barrier = threading.Barrier(4)

    def work(_):
        barrier.wait()
        return [value(gold, answer, digits=11) for gold, answer in pairs]

    with ThreadPoolExecutor(4) as threads:
        assert all(found == alone for found in threads.map(work, range(4)))
