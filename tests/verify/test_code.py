"""What `verify.code` makes of right and wrong programs and of references."""

import ast
import gzip
import json
import os
import threading
import time
from pathlib import Path

import pytest

from plaudit import Sample
from plaudit.errors import DataError, SpecError
from plaudit.run.sandbox import isolation_available
from plaudit.verify import Code, mutants
from plaudit.verify._code_outputs import same_output, same_value
from plaudit.verify._code_program import find_program
from plaudit.verify._code_tests import NoSuite, read_suite

pytestmark = pytest.mark.skipif(
    isolation_available("bubblewrap") is not None, reason=f"no isolation here: {isolation_available('bubblewrap')}"
)

ALL = Code(timeout=5)
FRACTION = Code(credit="fraction", timeout=5)
SUMS = {"inputs": ["1 2\n", "3 4\n", "-1 1\n"], "outputs": ["3\n", "7\n", "0\n"]}
CALLS = {"fn_name": "add", "inputs": [[1, 2], [3, 4], ["a", "b"]], "outputs": [3, 7, "ab"]}
ADD = "def add(a, b):\n    return a + b\n"


def judged(judge, program, reference, prompt="Write it."):
    verdict = judge.one(prompt, f"```python\n{program}\n```", reference)
    assert verdict.value is not None, verdict.explanation
    return verdict


# Tests as inputs with outputs, as calls, as assertions


@pytest.mark.parametrize(
    ("program", "value"),
    [
        ("a, b = map(int, input().split())\nprint(a + b)", 1.0),
        ("import sys\na, b = map(int, sys.stdin.read().split())\nsys.stdout.write(f'  {a + b}.0 \\n\\n')", 1.0),
        ("if __name__ == '__main__':\n    print(sum(map(int, input().split())))", 1.0),
        ("a, b = map(int, input().split())\nprint(abs(a + b) if a != 3 else 8)", 2 / 3),
        ("print(3)", 1 / 3),
        ("a, b = map(int, input().split())\nprint(a + b)\nraise SystemExit(1)", 1.0),
        ("print(input())\nprint(3)", 0.0),
        ("", 0.0),
    ],
)
def test_programs_that_read_and_write(program, value):
    verdict = FRACTION.one("Add.", program or "pass", SUMS)
    assert verdict.value == pytest.approx(value), verdict
    assert ALL.one("Add.", program or "pass", SUMS).value == float(value == 1.0)


@pytest.mark.parametrize(
    ("program", "value"),
    [
        (ADD, 1.0),
        ("class Solution:\n    def add(self, a, b): return a + b", 1.0),
        ("add = lambda a, b: a + b", 1.0),
        ("def add(a, b): return a + b if isinstance(a, str) else float(a + b)", 1.0),
        ("def add(a, b): return int(a) + int(b)", 2 / 3),
        ("def add(a, b):\n    if a == 3: import os; os._exit(0)\n    return a + b", 2 / 3),
        ("import time\ndef add(a, b):\n    if a == 3: time.sleep(60)\n    return a + b", 2 / 3),
        ("def add(a, b): print(a + b)", 0.0),
        ("def plus(a, b): return a + b", 0.0),
        ("1/0\n" + ADD, 0.0),
    ],
)
def test_programs_that_are_called(program, value):
    verdict = judged(Code(credit="fraction", timeout=1.5), program, CALLS)
    assert verdict.value == pytest.approx(value), verdict
    assert len(verdict.details["results"]) == 3


def test_assertions_may_loop_import_and_define():
    tests = """
import math
from solution import add
def close(a, b): return math.isclose(a, b)
for k in range(5):
    assert add(k, k) == 2 * k
assert close(add(0.1, 0.2), 0.3), "the message does not count"
"""
    assert judged(ALL, ADD, tests).value == 1.0
    assert judged(FRACTION, "def add(a, b): return a * 2 if a < 4 and isinstance(a, int) else 0.3", tests).value == 0.5


def test_a_check_function_as_in_humaneval():
    reference = {"test": "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert True", "entry_point": "add"}
    assert judged(ALL, ADD, reference).value == 1.0
    assert judged(ALL, "def add(a, b): return a - b", reference).value == 0.0


def test_test_functions_as_pytest_has_them_are_one_test_each():
    tests = "def test_small():\n    assert add(1, 2) == 3\n    assert add(0, 0) == 0\n"
    tests += "def test_text():\n    assert add('a', 'b') == 'ab'"
    verdict = judged(FRACTION, "def add(a, b): return int(a) + int(b)", tests)
    assert (verdict.details["tests"], verdict.value) == (2, 0.5)
    assert judged(ALL, ADD, tests).value == 1.0


def test_an_expected_exception_is_met_by_its_type():
    tests = "try:\n    root(-1)\n    assert False\nexcept ValueError:\n    assert True\nassert root(4) == 2"
    assert judged(ALL, "def root(x):\n    if x < 0: raise ValueError('no')\n    return x ** 0.5", tests).value == 1.0
    assert judged(ALL, "def root(x):\n    if x < 0: raise KeyError('no')\n    return x ** 0.5", tests).value == 0.0
    assert judged(ALL, "def root(x): return abs(x) ** 0.5", tests).value == 0.0


def test_methods_of_a_solution_are_found():
    program = "class Solution:\n    def add(self, a, b): return a + b"
    for entry_point in ("add", "Solution().add", "Solution.add"):
        reference = {"test": "def check(candidate):\n    assert candidate(a=1, b=2) == 3", "entry_point": entry_point}
        assert judged(ALL, program, reference).value == 1.0, entry_point
    assert judged(ALL, program, ["assert Solution().add(1, 2) == 3"]).value == 1.0


def test_objects_with_a_state_can_be_tested():
    tests = ["s = Stack()\ns.push(1)\ns.push(2)\nassert s.pop() == 2\nassert len(s) == 1\nassert s.top == 1"]
    program = """
class Stack:
    def __init__(self): self.items = []
    def push(self, x): self.items.append(x)
    def pop(self): return self.items.pop()
    def __len__(self): return len(self.items)
    top = property(lambda self: self.items[-1])
"""
    assert judged(ALL, program, tests).value == 1.0
    assert judged(ALL, program.replace("pop()\n", "pop(0)\n"), tests).value == 0.0


def test_arguments_changed_in_place_are_changed_for_the_tests():
    tests = ["rows = [3, 1, 2]\nsort_it(rows)\nassert rows == [1, 2, 3]"]
    assert judged(ALL, "def sort_it(rows): rows.sort()", tests).value == 1.0
    assert judged(ALL, "def sort_it(rows): return sorted(rows)", tests).value == 0.0


def test_a_response_may_go_on_where_the_prompt_ends():
    prompt = 'def add(a, b):\n    """The sum."""\n'
    reference = {"prompt": prompt, "test": "def check(candidate):\n    assert candidate(1, 2) == 3", "entry_point": "add"}
    for response in ("    return a + b\n", "```python\n    return a + b\n```", ADD, f"```python\n{prompt}    return a + b\n```"):
        assert ALL.one(prompt, response, reference).value == 1.0, response
    assert ALL.one(prompt, "    return a - b\n", reference).value == 0.0


# What does not pass


def test_all_tests_must_be_reported():
    # The tests themselves stop before the last assertion: the program has not passed it.
    tests = "assert add(1, 1) == 2\nif add(1, 0) == 1:\n    assert add(2, 2) == 4"
    assert judged(FRACTION, "def add(a, b): return 2", tests).value == 0.5
    assert judged(ALL, "def add(a, b): return 2", tests).value == 0.0


def test_a_test_program_that_fails_elsewhere_is_not_passed():
    verdict = judged(ALL, ADD, "assert add(1, 1) == 2\nadd(1, 'a')")
    assert verdict.value == 0.0


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("while True: pass", "response_timeout"),
        ("import time\ntime.sleep(60)", "response_timeout"),
        ("x = []\nwhile True: x.append(bytearray(10**6))", "response_memory"),
        ("def f(:", "response_wrong"),
    ],
)
def test_what_went_wrong_is_a_reason(program, reason):
    verdict = Code(timeout=2, memory=256).one("p", f"```python\n{program}\n```", SUMS)
    # On a machine that is too busy a loop may not have had its time.
    assert (verdict.value, verdict.reason) == (0.0, reason) or (
        verdict.reason == "worker_starved" and program.startswith("while")
    )


# It waits for no processor, so that a busy machine does not change what is measured.
SLEEPS = "import time\ndef add(a, b): time.sleep(60)"


def test_calls_that_hang_are_out_of_time():
    assert judged(Code(timeout=1), SLEEPS, CALLS).reason == "response_timeout"
    assert judged(Code(timeout=1), "import time\ntime.sleep(60)", CALLS).reason == "response_timeout"
    assert judged(Code(timeout=1), SLEEPS, ["assert add(1, 2) == 3"]).reason == "response_timeout"


def test_a_hundred_tests_that_hang_do_not_take_a_hundred_limits():
    many = {"fn_name": "add", "inputs": [[k, k] for k in range(100)], "outputs": [2 * k for k in range(100)]}
    written = {"inputs": [f"{k}" for k in range(100)], "outputs": ["1"] * 100}
    judge = Code(credit="fraction", timeout=0.5)
    for program, reference in (
        ("import time\ntime.sleep(60)", many),
        (SLEEPS, many),
        ("import os, time\ndef add(a, b):\n    while True: os.write(3, b'x'); time.sleep(0.1)", many),
        ("import time\ntime.sleep(60)", written),
    ):
        began = time.monotonic()
        assert judged(judge, program, reference).value == 0.0
        assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "value",
    [
        "1 << 100_000",
        "{1 << 100_000: 1}",
        "{(1 << 50_000, 2): 1}",
        "10 ** 400",
        "float('nan')",
        "float('inf')",
        "'\\ud800'",
        "object()",
        "__import__('decimal').Decimal('sNaN')",
        "range(10 ** 5000)",
        "type('int', (), {})()",
    ],
)
def test_odd_values_are_wrong_and_no_failure(value):
    for expected in (5, {"1": 1}, 0.5):
        for judge in (ALL, Code(tolerance=1e-6)):
            verdict = judged(judge, f"def f(): return {value}", {"fn_name": "f", "inputs": [[]], "outputs": [expected]})
            assert verdict.value == 0.0


def test_a_flood_of_equal_hashes_does_not_hold_the_judge():
    program = """
import os
def f():
    members = ", ".join('["i", "%d"]' % (k * (2**61 - 1)) for k in range(30000))
    line = ('["value", ["l", [["S", [' + members + ']], null]]]\\n').encode()
    while line: line = line[os.write(3, line):]
"""
    began = time.process_time()
    assert judged(ALL, program, {"fn_name": "f", "inputs": [[]], "outputs": [1]}).value == 0.0
    assert time.process_time() - began < 3


# References


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (7, "int"),
        ("4", "assert nothing"),
        ("assert f(", "not Python"),
        ("{not json", "looks like JSON"),
        ({"inputs": [], "outputs": []}, "at least one"),
        ({"inputs": ["1"], "outputs": ["1", "2"]}, "1 inputs and 2 outputs"),
        ({"inputs": "1", "outputs": "1"}, "two lists"),
        ({"inputs": ["1", "1"], "outputs": ["1", "2"]}, "two outputs for the same input"),
        ({"fn_name": "f", "inputs": ["not json"], "outputs": [1]}, "JSON value on each line"),
        ({"fn_name": "f", "inputs": [["x" * 2_000_000]], "outputs": [1]}, "cannot be handed"),
        ({"answer": 1}, "answer"),
        ({"tests": "assert f(1)", "entry_point": "f; import os"}, "entry point"),
        ([], "list"),
    ],
)
def test_references_without_tests_fail_and_say_why(reference, said):
    verdict = ALL.score([Sample("p", ADD, reference=reference)])[0]
    assert (verdict.value, verdict.reason) == (None, "reference_unreadable")
    assert said in verdict.explanation
    with pytest.raises(DataError):
        ALL.cases(ADD, reference)


def test_references_may_be_json():
    for reference in (SUMS, [{"input": a, "output": b} for a, b in zip(SUMS["inputs"], SUMS["outputs"], strict=True)]):
        assert ALL.one("p", "print(sum(map(int, input().split())))", json.dumps(reference)).value == 1.0
    calls = {"fn_name": "add", "inputs": ["1\n2", '"a"\n"b"'], "outputs": ["3", '"ab"']}
    assert ALL.one("p", ADD, json.dumps(calls)).value == 1.0
    assert ALL.one("p", ADD, json.dumps(["assert add(1, 2) == 3"])).value == 1.0


def test_equal_tests_are_run_once():
    assert read_suite({"inputs": ["1", "1", "2"], "outputs": ["1", "1", "4"]}).n == 2
    assert read_suite({"fn_name": "f", "inputs": [[1], [1], [1.0]], "outputs": [1, 1, 1]}).n == 2
    assert read_suite(["assert f(1) == 1", "assert f(1)  ==  1", "assert f(2) == 1"]).n == 2


def test_a_reference_is_not_read_from_the_response():
    assert ALL.one("p", "```python\nassert add(1, 2) == 4\n" + ADD + "```", ["assert add(1, 2) == 3"]).value == 0.0


# Comparing


def test_early_stop_leaves_the_rest_undone():
    verdict = judged(ALL, "print(0)", SUMS)
    assert [case["why"] for case in verdict.details["results"]][1:] == ["not run", "not run"]
    verdict = judged(Code(stop_early=False), "print(0)", SUMS)
    assert verdict.details["passed"] == 1


@pytest.mark.parametrize(
    ("written", "expected", "compare", "tolerance", "same"),
    [
        ("1 2", "1  2", "lines", 0, True),
        ("1\n2", "1 2", "lines", 0, False),
        ("1\n2", "1 2", "tokens", 0, True),
        ("1 2", "1 2 ", "exact", 0, False),
        ("yes", "YES", "tokens", 0, False),
        ("1000001", "1000000", "lines", 0, False),
        ("0.3000001", "0.3", "lines", 1e-5, True),
        ("nan", "nan", "lines", 0, True),
        ("sNaN", "1", "tokens", 1, False),
        ("1e999999999", "1", "tokens", 1, False),
        ("9" * 100_000, "1", "tokens", 1, False),
        ("1_0", "10", "tokens", 0, False),
    ],
)
def test_outputs_are_compared_as_declared(written, expected, compare, tolerance, same):
    assert same_output(written, expected, compare, tolerance) is same


def test_values_are_compared_by_exact_types():
    assert same_value({1: "a"}, {"1": "a"})
    assert not same_value({1: "a", "1": "b"}, {"1": "a"})
    assert not same_value("1", 1)
    assert not same_value(1, True)
    assert not same_value({1}, [1])
    assert not same_value(None, 0)
    assert same_value([1, [2.0, (3,)]], [1, [2, [3]]])


# Responses


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("```python\nx\n```\n```py\ny\n```", "y\n"),
        ("```\nx\n```", "x\n"),
        ("```js\nx\n```", None),
        ("```python\nx\n", None),
        ("~~~python\nx\n~~~", "x\n"),
        ("````python\n```\nx\n```\n````", "```\nx\n```\n"),
        ("   ", None),
    ],
)
def test_the_last_closed_block_is_the_program(text, program):
    assert find_program(text) == program


@pytest.mark.parametrize(
    "text", ["(" * 200_000, "-" * 200_000 + "1", "1+" * 200_000 + "1", "```python\n" * 50_000, "`" * 200_000, "\0"]
)
def test_hostile_responses_are_refused_in_time(text):
    began = time.process_time()
    for reference in (SUMS, CALLS, ["assert add(1, 2) == 3"]):
        assert Code(timeout=2).one("p", text, reference).value == 0.0
    assert time.process_time() - began < 6


# Languages, options, threads


@pytest.mark.parametrize(
    ("language", "command", "file", "program"),
    [
        ("sh", ("/bin/sh", "solution"), "solution", "read a b\necho $((a + b))"),
        ("javascript", ("/usr/bin/node", "solution.js"), "solution.js",
         "const [a, b] = require('fs').readFileSync(0, 'utf8').split(' ').map(Number); console.log(a + b)"),
        ("c", ("/bin/sh", "-c", "gcc -o run solution.c && ./run"), "solution.c",
         '#include <stdio.h>\nint main() { int a, b; scanf("%d %d", &a, &b); printf("%d\\n", a + b); }'),
    ],
)  # fmt: skip
def test_another_language_by_its_command(language, command, file, program):
    tool = {"sh": "/bin/sh", "javascript": "/usr/bin/node", "c": "/usr/bin/gcc"}[language]
    if not os.path.exists(tool):
        pytest.skip(f"{tool} is not here")
    binds = tuple(f for f in ("/usr/bin", "/bin", "/usr/include", "/usr/libexec", "/etc/alternatives") if os.path.isdir(f))
    memory = 512 if language == "sh" else 64_000  # node reserves address space that it does not use
    judge = Code(language=language, command=command, file=file, binds=binds, memory=memory, timeout=20)
    right = judge.one("Add.", f"```{language}\n{program}\n```", SUMS)
    assert right.value == 1.0, right
    assert judge.one("Add.", f"```{language}\n{program.replace('a + b', 'a - b')}\n```", SUMS).value == 0.0
    assert judge.one("Add.", f"```{language}\n)(\n```", SUMS).value == 0.0
    assert judge.score([Sample("p", program, reference=["assert f(1) == 1"])])[0].reason == "reference_unreadable"


@pytest.mark.parametrize(
    "options", [{"timeout": 0}, {"memory": -1}, {"command": ("node",)}, {"language": "go"}, {"tolerance": -1}]
)
def test_options_that_cannot_be_right_are_refused(options):
    with pytest.raises(SpecError):
        Code(**options)


def test_a_command_that_the_sandbox_does_not_hold_is_no_fault_of_the_program():
    verdict = Code(language="go", command=("/nowhere/go",)).score([Sample("p", "package main", reference=SUMS)])[0]
    assert (verdict.reason, "binds" in verdict.explanation) == ("sandbox_failed", True)


def test_many_threads_share_the_sandbox():
    found = {}

    def work(k):
        program = f"def f(x): return x + {k}"
        found[k] = [judged(ALL, program, {"fn_name": "f", "inputs": [[1]], "outputs": [1 + j]}).value for j in range(4)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {k: [float(j == k) for j in range(4)] for k in range(4)}


def test_a_forked_child_leaves_its_parents_sandbox_alone():
    assert judged(ALL, ADD, CALLS).value == 1.0
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if ALL._judge(Sample("p", ADD, reference=CALLS)).value == 1.0 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert judged(ALL, ADD, CALLS).value == 1.0


def test_cases_of_a_program_are_all_run():
    tests = ["assert f(1) == 1", "assert f(2) == 2", "assert f(3) == 1"]
    assert [case.passed for case in ALL.cases("def f(x): return 1", tests)] == [True, False, True]


# Real problems

DATA = os.environ.get("PLAUDIT_DATA")
real = pytest.mark.skipif(DATA is None, reason="PLAUDIT_DATA is not set: HumanEval and MBPP are not here")


def rows(name):
    with gzip.open(Path(DATA) / name) as file:
        return [json.loads(line) for line in file]


@real
def test_humaneval_references_pass_and_their_mutants_are_caught(capsys):
    problems = rows("humaneval/HumanEval.jsonl.gz")
    prompts = [Sample(row["prompt"], row["canonical_solution"], reference=row) for row in problems]
    failed = [row["task_id"] for row, verdict in zip(problems, ALL.score(prompts), strict=True) if verdict.value != 1.0]
    assert failed == []
    caught = made = 0
    for row in problems[::8]:
        program = row["prompt"] + row["canonical_solution"]
        wanted = ("negated comparison", "off by one", "swapped operator", "dropped return")
        first = {mutant.kind: mutant for mutant in reversed(mutants(program)) if mutant.kind in wanted}
        made += len(first)
        caught += sum(ALL.one(row["prompt"], f"```python\n{m.source}\n```", row).value == 0.0 for m in first.values())
    with capsys.disabled():
        print(f"\nHumanEval: {caught} of {made} mutants caught ({caught / made:.1%})")
    assert caught / made > 0.9


@real
def test_mbpp_references_pass():
    problems = rows("mbpp/mbpp.jsonl.gz")[:974:12]
    samples = [Sample(row["text"], f"```python\n{row['code']}\n```", reference=row) for row in problems]
    failed = [row["task_id"] for row, verdict in zip(problems, ALL.score(samples), strict=True) if verdict.value != 1.0]
    assert failed == []


@real
def test_real_tests_are_python():
    for row in rows("humaneval/HumanEval.jsonl.gz"):
        suite = read_suite(row)
        ast.parse(suite.source)
        assert suite.n >= 1


def test_no_suite_is_a_value_error():
    assert issubclass(NoSuite, ValueError)


def test_a_missing_reference_and_a_setup_that_is_no_python_are_nobodys_fault():
    assert Code().one("p", "def f(x): return x").reason == "reference_missing"
    verdict = Code().one("p", "def f(x): return x", {"tests": "assert f(1) == 1", "setup": "def ("})
    assert verdict.reason == "reference_unreadable"
    assert "not Python" in verdict.explanation


def test_a_prompt_may_end_where_the_body_begins_and_a_failure_says_which_claim():
    tests = {"tests": "assert add(1, 2) == 3", "entry_point": "add", "prompt": "def add(a, b):\n"}
    assert Code().one("p", "    return a + b\n", tests).value == 1.0
    verdict = Code().one("p", "    return a - b\n", tests)
    assert verdict.value == 0.0
    assert "add(1, 2) == 3" in verdict.explanation
