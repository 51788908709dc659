"""Worst-case answers are decided or refused at once, in little memory, and never accepted."""

import os
import runpy
import subprocess
import sys
import time
from pathlib import Path

import pytest

from plaudit.types import Context, Sample, Status
from plaudit.verify import Math, Numeric

BENCHMARK = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "verify.py"))
SLOW = {"sum to 10^9 of 1/k", "prod to 10^6 of k", "a hard integral"}
"""What only the symbolic stage could decide: it is stopped by its deadline."""

MORE = {
    "sums": "1+" * 4_000 + "1",
    "powers": "2^" * 400 + "2",
    "bars": "|" * 3_000,
    "signs": "-" * 3_000 + "1",
    "braces": "{" * 3_000,
    "plus-minus": "\\pm 1" * 200,
    "factorials": "x!" * 500,
    "power of power": "((x+1)^{99})^{99}",
    "sines": "\\sin(" * 60 + "x" + ")" * 60,
    "list": "1," * 4_000 + "1",
    "tuples": "(1,2)," * 1_500 + "(1,2)",
    "unions": "(-\\infty,1)\\cup" * 500 + "(2,3)",
    "tiny": "10^{-10^9}",
    "tower": "e^{e^{e^{e^{e}}}}",
    "literal": "1e99999",
    "texts": "\\text{" * 2_000,
    "brackets": "\\left(" * 3_000,
    "digits": "7^{7^{7}}-7^{7^{7}}+43",
    "roots": "\\sqrt[99]{" * 60 + "2" + "}" * 60,
    "gcd": "\\gcd(" * 50 + "1,2" + ")" * 50,
    "overlines": "0.\\overline{" * 300,
    "subscripts": "x_{" * 500 + "1" + "}" * 500,
    "quotes": "'" * 5_000,
    "ratio": "1:" * 3_000 + "1",
}


@pytest.mark.parametrize("title", [*BENCHMARK["WORST"], *MORE])
def test_it_is_decided_or_refused_within_a_second_and_never_accepted(title):
    text = (BENCHMARK["WORST"] | MORE)[title]
    math = Math(symbolic=0.0 if title in SLOW else 0.5)
    for gold in ("42", "x^2+1", r"\frac{\pi}{2}", r"\{1,2\}", "(0,1)"):
        start = time.perf_counter()
        verdict = math.score_one(Sample("q", f"\\boxed{{{text}}}", gold), Context())
        assert time.perf_counter() - start < 1.0
        assert (verdict.status, verdict.value) == (Status.SCORED, 0.0), verdict


@pytest.mark.parametrize("title", ["2^{10^9}", "9^{9^{9^9}}", "(100!)!", "set of 2,000", "40x40 matrix", "40 nested roots"])
def test_the_same_text_is_right_however_large_its_value(title):
    text = BENCHMARK["WORST"][title]
    assert Math().score_one(Sample("q", f"\\boxed{{{text}}}", text), Context()).value == 1.0


@pytest.mark.parametrize("title", SLOW)
def test_what_the_symbolic_stage_cannot_finish_is_stopped_by_its_deadline(title):
    pytest.importorskip("sympy")
    math = Math(symbolic=0.2)
    text = BENCHMARK["WORST"][title]
    math.score_one(Sample("q", r"\boxed{\int_0^1 x dx}", r"\frac12"), Context())  # the workers are started once
    start = time.perf_counter()
    verdict = math.score_one(Sample("q", f"\\boxed{{{text}}}", "42"), Context())
    assert (verdict.value, verdict.status) == (0.0, Status.SCORED)
    assert time.perf_counter() - start < 5.0  # a busy machine may take a while to start a worker


def test_memory_stays_below_300_mb():
    code = (
        "import re, runpy; from plaudit.types import Sample, Context; from plaudit.verify import Math\n"
        f"worst = runpy.run_path({str(Path(BENCHMARK['__file__']))!r})['WORST']\n"
        "for text in worst.values():\n"
        "    Math(symbolic=0.0).score_one(Sample('q', '\\\\boxed{' + text + '}', 'x^2+1'), Context())\n"
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ))
    # Not ru_maxrss: that begins with what the process that started it had.
    assert 10 < int(done.stdout) < 300


@pytest.mark.parametrize("title", ["2^{10^9}", "9^{9^{9^9}}", "(100!)!", "60 nested \\frac", "20,000-digit integer"])
def test_numeric_is_bounded_as_well(title):
    start = time.perf_counter()
    assert Numeric(relative=0.1).score_one(Sample("q", f"\\boxed{{{BENCHMARK['WORST'][title]}}}", "42"), Context()).value == 0.0
    assert time.perf_counter() - start < 1.0
