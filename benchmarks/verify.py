"""verify.math on labelled pairs, beside math-verify and a string match, all measured in this run.

    PLAUDIT_DATA=DIR python benchmarks/verify.py             # the tables
    PLAUDIT_DATA=DIR python benchmarks/verify.py --json      # the same for machines
    PLAUDIT_DATA=DIR python benchmarks/verify.py --errors    # and every disagreement of plaudit with a label

DIR/math_equivalence.jsonl holds labelled pairs; rows marked `debatable` are conventions and are left out. A pair is given to
every grader inside ``\\boxed{}`` unless it holds a box already. Each grader runs in a process of its own, so that its peak memory
is its own. Three tables: the labelled pairs, in two halves; worst-case inputs; metamorphic pairs whose label is true by
construction.
"""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
import resource
import runpy
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

Grade = Callable[[str, str], bool]
"""Whether a response is right, given the reference and the response."""

TESTS = Path(__file__).parents[1] / "tests" / "verify"
SEEDS = 12


def boxed(row: dict[str, Any]) -> str:
    """The response that a grader reads."""
    said = str(row["pred"])
    return said if row["kind"] == "response" or "boxed" in said else f"\\boxed{{{said}}}"


def half_of(row: dict[str, Any]) -> str:
    """The half of a row: "seen" while the verifier was developed, or "held out" until it was finished."""
    return "seen" if int(hashlib.sha256(row["id"].encode()).hexdigest(), 16) % 2 == 0 else "held out"


def plaudit_grader() -> Grade:
    """verify.math as it is by default, its symbolic workers started."""
    from plaudit.types import Context, Sample
    from plaudit.verify import Math

    math, context = Math(), Context()

    def grade(gold: str, said: str) -> bool:
        return math.score_one(Sample("q", said, gold), context).value == 1.0

    grade("1", r"\boxed{\lim_{x\to0}\frac{\sin x}{x}}")
    grade(r"\frac{1}{2}", r"\boxed{\int_0^1 x dx}")
    return grade


def math_verify_grader() -> Grade:
    """math-verify as its documentation shows it."""
    logging.disable(logging.ERROR)  # it reports every timeout with the whole input
    from math_verify import parse, verify  # type: ignore[import-untyped]

    def grade(gold: str, said: str) -> bool:
        reference = parse(gold if "$" in gold or "boxed" in gold else f"\\boxed{{{gold}}}")
        return bool(verify(reference, parse(said)))

    grade("1", r"\boxed{\frac{2}{2}}")
    return grade


def string_grader() -> Grade:
    """A match of texts after the usual clean-up of LaTeX, in the manner of the MATH data set's own scoring."""

    def cleaned(text: str) -> str:
        for old, new in (
            ("\n", ""), ("\\!", ""), ("\\\\", "\\"), ("tfrac", "frac"), ("dfrac", "frac"), ("\\left", ""), ("\\right", ""),
            ("^{\\circ}", ""), ("^\\circ", ""), ("\\$", ""), ("$", ""), ("\\%", ""), ("%", ""), (" .", " 0."), ("{.", "{0."),
            (" ", ""),
        ):  # fmt: skip
            text = text.replace(old, new)
        text = text.split("\\text{", 1)[0] if text.count("\\text{") == 1 and not text.startswith("\\text{") else text
        head, sign, tail = text.partition("=")
        text = tail if sign and len(head) <= 2 else text
        n, slash, d = text.partition("/")
        return f"\\frac{{{n}}}{{{d}}}" if slash and n.isdigit() and d.isdigit() else text.rstrip(".")

    def grade(gold: str, said: str) -> bool:
        from plaudit.text import boxed_answer

        box, reference = boxed_answer(said), boxed_answer(gold)
        return cleaned(said if box is None else box.text) == cleaned(gold if reference is None else reference.text)

    return grade


GRADERS: dict[str, Callable[[], Grade]] = {
    "plaudit verify.math": plaudit_grader,
    "math-verify": math_verify_grader,
    "string match": string_grader,
}

WORST: dict[str, str] = {
    "2^{10^9}": "2^{10^9}",
    "9^{9^9}": "9^{9^9}",
    "9^{9^{9^9}}": "9^{9^{9^9}}",
    "10^{10^{10}}": "10^{10^{10}}",
    "10^6!": "1000000!",
    "(10^9)!": "(10^9)!",
    "(100!)!": "(100!)!",
    "binom(10^7, 5*10^6)": r"\binom{10^7}{5\cdot 10^6}",
    "sum to 10^9 of 1/k": r"\sum_{k=1}^{10^9} \frac{1}{k}",
    "prod to 10^6 of k": r"\prod_{k=1}^{10^6} k",
    "a hard integral": r"\int_0^{\infty} \frac{x^3 \sin(x^2) e^{-x}}{\ln(1+x^2)} dx",
    "60 nested \\frac": "\\frac{1}{" * 60 + "2" + "}" * 60,
    "500 nested brackets": "(" * 500 + "1" + ")" * 500,
    "40 nested roots": "\\sqrt{" * 40 + "2" + "}" * 40,
    "2,000-term polynomial": "+".join(f"{k}x^{{{k}}}" for k in range(2_000)),
    "set of 2,000": "\\{" + ",".join(map(str, range(2_000))) + "\\}",
    "40x40 matrix": r"\begin{pmatrix}"
    + r"\\".join("&".join(str(i * j) for j in range(40)) for i in range(40))
    + r"\end{pmatrix}",
    "20,000 open boxes": "\\boxed{" * 20_000,
    "10^5 characters": "x" * 100_000,
    "10^6 spaces": " " * 1_000_000,
    "50,000 dollar signs": "$" * 50_000,
    "20,000-digit integer": "9" * 20_000,
}
"""Answers that a policy may emit to hold up a verifier."""

REFERENCES = ("42", "x^2+1", r"\frac{\pi}{2}")
"""Ordinary references that each of them is compared with."""


def labelled(name: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One grader on the labelled rows."""
    grade = GRADERS[name]()
    seconds, wrong = [], []
    counts: dict[str, Counter[str]] = {"seen": Counter(), "held out": Counter()}
    for row in rows:
        start = time.perf_counter()
        try:
            right = grade(str(row["gold"]), boxed(row))
        except Exception:  # a grader that raises has not said that the answer is right
            right = False
        seconds.append(time.perf_counter() - start)
        kind = ("T" if right == row["equal"] else "F") + ("P" if right else "N")
        counts[half_of(row)][kind] += 1
        if right != row["equal"]:
            wrong.append({k: row[k] for k in ("id", "category", "gold", "pred", "equal")})
    seconds.sort()
    whole = counts["seen"] + counts["held out"]
    return {
        "grader": name, "rows": len(rows), "accuracy": accuracy(whole), "seen": accuracy(counts["seen"]),
        "held_out": accuracy(counts["held out"]), "false_positives": whole["FP"], "false_negatives": whole["FN"],
        "false_positives_held_out": counts["held out"]["FP"], "per_second": len(rows) / sum(seconds),
        "median_ms": 1e3 * seconds[len(seconds) // 2], "p99_ms": 1e3 * seconds[int(0.99 * len(seconds))], "errors": wrong,
    }  # fmt: skip


def accuracy(counts: Counter[str]) -> float:
    """The share of right verdicts in percent."""
    return 100 * (counts["TP"] + counts["TN"]) / max(1, counts.total())


def worst(name: str, _: Any) -> dict[str, Any]:
    """One grader on the worst-case inputs: seconds of the slowest reference, and whether a wrong one was accepted."""
    grade = GRADERS[name]()
    out: dict[str, Any] = {"grader": name, "seconds": {}, "accepted": []}
    for title, text in WORST.items():
        slowest = 0.0
        for gold in REFERENCES if name.startswith("plaudit") else REFERENCES[:1]:  # a peer takes seconds for each
            start = time.perf_counter()
            try:
                right = grade(gold, f"\\boxed{{{text}}}")
            except Exception:  # as above
                right = False
            slowest = max(slowest, time.perf_counter() - start)
            if right:
                out["accepted"].append(title)
        out["seconds"][title] = slowest
    return out


def metamorphic(name: str, _: Any) -> dict[str, Any]:
    """One grader on generated pairs: counts by type of value."""
    generators = runpy.run_path(str(TESTS / "metamorphic.py"))["GENERATORS"]
    grade = GRADERS[name]()
    out: dict[str, Any] = {"grader": name, "types": {}}
    for kind, generate in generators.items():
        counts: Counter[str] = Counter()
        pairs = dict.fromkeys(pair for seed in range(SEEDS) for pair in generate(Random(seed)))
        for gold, said, equal in list(pairs)[:400]:
            try:
                right = grade(gold, f"\\boxed{{{said}}}")
            except Exception:  # as above
                right = False
            counts[("T" if right == equal else "F") + ("P" if right else "N")] += 1
        out["types"][kind] = dict(counts)
    return out


def in_process(task: Callable[[str, Any], dict[str, Any]], name: str, argument: Any) -> dict[str, Any]:
    """Run a task in a fresh process; its peak memory is added."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, task, name, argument))
    process.start()
    sender.close()
    try:
        found: dict[str, Any] = receiver.recv()
    finally:
        process.join()
    return found


def _send(sender: Any, task: Callable[[str, Any], dict[str, Any]], name: str, argument: Any) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = task(name, argument)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sender.send(found | {"peak_mb": peak / 1024, "start_mb": before / 1024})


TABLES: dict[str, tuple[Callable[[str, Any], dict[str, Any]], int]] = {
    "labelled": (labelled, 3),
    "metamorphic": (metamorphic, 3),
    "worst": (worst, 2),
}
"""The tables: how one grader is measured, and how many of the graders. Further families of verifiers add a row of their own."""


def measure(folder: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The tables one after another, as plain data."""
    with (folder / "math_equivalence.jsonl").open(encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if not row["debatable"]]
    names = [name for name in GRADERS if _installed(name)]
    for title, (task, count) in TABLES.items():
        yield title, [in_process(task, name, rows) for name in names[:count]]


def _installed(name: str) -> bool:
    import importlib.util

    return name != "math-verify" or importlib.util.find_spec("math_verify") is not None


def show_labelled(results: list[dict[str, Any]]) -> None:
    """Accuracy, speed and memory on the labelled pairs."""
    print(
        f"{'grader':22}{'rows':>6}{'acc %':>8}{'seen':>8}{'held':>8}{'FP':>5}{'FN':>5}{'pairs/s':>10}{'p99 ms':>9}{'peak MB':>9}"
    )
    for r in results:
        print(
            f"{r['grader']:22}{r['rows']:6}{r['accuracy']:8.2f}{r['seen']:8.2f}{r['held_out']:8.2f}{r['false_positives']:5}"
            f"{r['false_negatives']:5}{r['per_second']:10,.0f}{r['p99_ms']:9.2f}{r['peak_mb']:9.0f}",
            flush=True,
        )


def show_worst(results: list[dict[str, Any]]) -> None:
    """Seconds for each of the worst-case inputs."""
    print("\nworst-case inputs: seconds (plaudit: the slowest of three references; the peer: one)")
    print(f"{'input':26}" + "".join(f"{r['grader']:>22}" for r in results))
    for title in WORST:
        print(f"{title:26}" + "".join(f"{r['seconds'][title]:22.3f}" for r in results))
    for r in results:
        print(f"{r['grader']}: peak {r['peak_mb']:.0f} MB, accepted wrongly: {sorted(set(r['accepted'])) or 'none'}", flush=True)


def show_metamorphic(results: list[dict[str, Any]]) -> None:
    """The yield of the generators."""
    print("\nmetamorphic pairs: right of all (false positives)")
    print(f"{'type':16}" + "".join(f"{r['grader']:>26}" for r in results))
    for kind in results[0]["types"]:
        counts = [Counter(r["types"][kind]) for r in results]
        cells = [f"{c['TP'] + c['TN']} of {c.total()} ({c['FP']})" for c in counts]
        print(f"{kind:16}" + "".join(f"{cell:>26}" for cell in cells), flush=True)


SHOW = {"labelled": show_labelled, "worst": show_worst, "metamorphic": show_metamorphic}


def main() -> int:
    """The command."""
    folder = os.environ.get("PLAUDIT_DATA")
    if not folder:
        print("PLAUDIT_DATA is not set: it names the folder that holds math_equivalence.jsonl", file=sys.stderr)
        return 2
    tables: dict[str, list[dict[str, Any]]] = {}
    for title, results in measure(Path(folder)):
        tables[title] = results
        if "--json" not in sys.argv[1:]:
            SHOW[title](results)
    first = tables["labelled"][0]
    if "--json" in sys.argv[1:]:
        print(json.dumps(tables, indent=1, ensure_ascii=False))
    elif "--errors" in sys.argv[1:]:
        for row in first["errors"]:
            print(json.dumps(row, ensure_ascii=False))
    return 0 if first["accuracy"] >= 97.5 and first["false_positives"] <= 2 else 1


if __name__ == "__main__":
    sys.exit(main())
