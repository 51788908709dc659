"""verify.math on GSM8K's labelled model solutions: agreement, accuracy, throughput, and every disagreement.

    PLAUDIT_DATA=DIR python benchmarks/gsm8k.py            # the report
    PLAUDIT_DATA=DIR python benchmarks/gsm8k.py --json     # the same for machines

DIR/gsm8k/example_model_solutions.jsonl.gz holds 1,319 test questions, each with a solution by four models and a label that
says whether its final answer was right. The peers of the same run are the data set's own scoring (the text behind "A:",
compared as text) and, where it is installed, math-verify. Exit status 1 when a model's accuracy is not the published one,
or when a disagreement is verify.math's fault.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from math import sqrt
from pathlib import Path
from typing import Any

from plaudit.types import Sample, Verdicts
from plaudit.verify import Math

PUBLISHED = {"6b_finetuning": 21.7, "6b_verification": 39.0, "175b_finetuning": 34.7, "175b_verification": 56.3}
"""Accuracies of the four models in percent, from the paper that came with the data."""

FINAL = re.compile(r"^A:[ ]*(.*?)[ ]*\Z", re.MULTILINE | re.DOTALL)

STYLES: dict[str, Callable[[str], str]] = {
    "A: x (as written)": lambda x: f"A: {x}",
    "#### x": lambda x: f"#### {x}",
    r"\boxed{x}": lambda x: f"So the final answer is $\\boxed{{{x}}}$.",
    "<answer>x</answer>": lambda x: f"<answer>{x}</answer>",
    "The answer is x.": lambda x: f"The answer is {x}.",
    "**Final answer:** $x dollars": lambda x: f"**Final answer:** ${x} dollars",
    "x.00": lambda x: f"A: {x}.00" if "." not in x else f"A: {x}",
    "with thousands commas": lambda x: f"A: {int(x):,}" if x.lstrip("-").isdigit() else f"A: {x}",
    "in prose": lambda x: f"That makes {x} in all.",
    "corrected": lambda x: f"The answer is 1{x}. Wait, that is wrong. The answer is {x}.",
}
"""Other ways to write the same final line: the label stays true by construction."""


def main() -> int:
    folder = os.environ.get("PLAUDIT_DATA")
    if not folder:
        print("PLAUDIT_DATA is not set: it names the folder that holds gsm8k/example_model_solutions.jsonl.gz", file=sys.stderr)
        return 2
    samples, labels = load(Path(folder) / "gsm8k" / "example_model_solutions.jsonl.gz")
    result = measure(samples, labels)
    if "--json" in sys.argv[1:]:
        print(json.dumps(result, indent=1))
    else:
        show(result)
    return 0 if result["as_published"] and not result["faults"]["verify.math"] else 1


def load(path: Path) -> tuple[list[Sample], list[bool]]:
    samples, labels = [], []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            row = json.loads(line)
            reference = row["ground_truth"].rpartition("A:")[2].strip()
            for model in PUBLISHED:
                solution = row[model]
                samples.append(Sample(row["question"], solution["solution"], reference, id=f"{number}/{model}"))
                labels.append(bool(solution["is_correct"]))
    return samples, labels


def measure(samples: list[Sample], labels: list[bool]) -> dict[str, Any]:
    math = Math()
    start = time.perf_counter()
    verdicts = math.score(samples)
    cold = time.perf_counter() - start
    warm = min(timed(lambda: math.score(samples)) for _ in range(3))
    right = (verdicts.values == 1.0).tolist()
    models = {model: model_row(model, samples, right, labels) for model in PUBLISHED}
    disagreements = [
        disagreement(sample, verdicts, k, label)
        for k, (sample, label) in enumerate(zip(samples, labels, strict=True))
        if right[k] != label
    ]
    return {
        "n": len(samples),
        "scored": verdicts.n_scored,
        "failed": verdicts.n_failed,
        "models": models,
        "all": agreement(right, labels),
        "control": control(right, labels),
        "as_published": all(row["accuracy"] == PUBLISHED[model] for model, row in models.items()),
        "rules": dict(Counter((details or {}).get("rule", "none") for details in verdicts.details or ())),
        "reasons": dict(Counter(verdicts.reason)),
        "faults": {fault: sum(d["fault"] == fault for d in disagreements) for fault in ("label", "convention", "verify.math")},
        "disagreements": disagreements,
        "no_final_line": [
            {
                "id": s.id,
                "answer": v.answer,
                "value": v.value,
                "label": label,
                "reference": s.reference,
                "end": str(s.response)[-60:],
            }
            for s, v, label in zip(samples, verdicts, labels, strict=True)
            if not FINAL.search(str(s.response))
        ],
        "speed": speed(samples, cold, warm),
        "styles": styles(samples, labels),
    }


def model_row(model: str, samples: list[Sample], right: list[bool], labels: list[bool]) -> dict[str, Any]:
    rows = [k for k, sample in enumerate(samples) if str(sample.id).endswith("/" + model)]
    row = agreement([right[k] for k in rows], [labels[k] for k in rows])
    return {
        **row,
        "n": len(rows),
        "accuracy": round(100 * sum(right[k] for k in rows) / len(rows), 1),
        "published": PUBLISHED[model],
    }


def agreement(right: Sequence[bool], labels: Sequence[bool]) -> dict[str, Any]:
    same = sum(a == b for a, b in zip(right, labels, strict=True))
    low, high = wilson(same, len(labels))
    return {
        "agree": same,
        "of": len(labels),
        "low": low,
        "high": high,
        "false_positives": sum(a and not b for a, b in zip(right, labels, strict=True)),
        "false_negatives": sum(b and not a for a, b in zip(right, labels, strict=True)),
    }


def wilson(successes: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval of a proportion (Wilson's score interval)."""
    share = successes / n
    middle = share + z * z / (2 * n)
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def control(right: list[bool], labels: list[bool]) -> dict[str, Any]:
    """The same count with the labels shuffled: what agreement by chance would be."""
    shuffled = labels.copy()
    random.Random(0).shuffle(shuffled)
    return agreement(right, shuffled)


def as_text(response: str, reference: str) -> bool:
    """The data set's own scoring: the text behind the last "A:", commas removed, is the reference's text."""
    final = response.rpartition("A:")[2].strip() if "A:" in response else None
    return final is not None and final.replace(",", "") == reference.replace(",", "")


def disagreement(sample: Sample, verdicts: Verdicts, k: int, label: bool) -> dict[str, Any]:
    """A row where verify.math and the label differ, and whose fault it is.

    The data set's own scoring arbitrates: if it sides with verify.math, the label is wrong; if it sides with the label
    while both sides write the same number differently, it is a convention; else verify.math is wrong.
    """
    verdict = verdicts[k]
    final = FINAL.findall(str(sample.response))
    if as_text(str(sample.response), sample.reference) == (verdict.value == 1.0):
        fault = "label"
    else:
        fault = "convention" if final and verdict.answer == final[-1] and not final[-1].strip("-").isdigit() else "verify.math"
    return {"id": sample.id, "label": label, "value": verdict.value, "reason": verdict.reason, "answer": verdict.answer,
            "reference": sample.reference, "fault": fault}  # fmt: skip


def timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def math_verify() -> Callable[[str, str], bool] | None:
    try:
        from math_verify import parse, verify  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        return None
    return lambda response, reference: bool(verify(parse(f"${reference}$"), parse(response)))


def speed(samples: list[Sample], cold: float, warm: float) -> dict[str, Any]:
    n = len(samples)
    peers = {"text comparison": timed(lambda: [as_text(str(s.response), s.reference) for s in samples]) / n}
    if (peer := math_verify()) is not None:
        few = samples[:400]
        peers["math-verify"] = timed(lambda: [peer(str(s.response), s.reference) for s in few]) / len(few)
    return {
        "characters": sum(len(str(s.response)) for s in samples) / n,
        "cold": n / cold,
        "warm": n / warm,
        "peers": {name: {"per_second": 1 / seconds, "ratio": seconds * n / warm} for name, seconds in peers.items()},
    }


def styles(samples: list[Sample], labels: list[bool], few: int = 200) -> dict[str, Any]:
    """Agreement when the final line is written in other ways, beside the peers."""
    math, peer = Math(), math_verify()
    with_line = [(s, label) for s, label in zip(samples, labels, strict=True) if FINAL.search(str(s.response))]
    plain = [(s, label) for s, label in with_line if re.fullmatch(r"-?[0-9,]+(\.[0-9]+)?", FINAL.findall(str(s.response))[-1])]
    rows = {}
    for name, write in STYLES.items():
        texts = [rewrite(str(s.response), write) for s, _ in plain]
        truth = [label for _, label in plain]
        values = math([Sample(s.prompt, text, s.reference) for (s, _), text in zip(plain, texts, strict=True)])
        rows[name] = {
            "verify.math": agreement((values == 1.0).tolist(), truth),
            "text comparison": agreement([as_text(t, s.reference) for (s, _), t in zip(plain, texts, strict=True)], truth),
        }
        if peer is not None:
            step = len(plain) // few
            pairs = list(zip(plain, texts, strict=True))[::step]
            rows[name]["math-verify"] = agreement(
                [peer(t, s.reference) for (s, _), t in pairs], [label for (_, label), _ in pairs]
            )
    return rows


def rewrite(solution: str, write: Callable[[str], str]) -> str:
    """The solution with its last "A:" line written in another way."""
    at = solution.rindex("A:")
    return solution[:at] + write(solution[at + 2 :].strip().replace(",", ""))


def share(row: dict[str, Any]) -> str:
    interval = f"[{100 * row['low']:.2f}, {100 * row['high']:.2f}]"
    return f"{row['agree']:,} / {row['of']:,} = {100 * row['agree'] / row['of']:.2f} %  {interval}"


def errors(row: dict[str, Any]) -> str:
    return f"{row['false_positives']:4d}{row['false_negatives']:4d}"


def show(result: dict[str, Any]) -> None:
    print(f"verify.math on {result['n']:,} labelled solutions: {result['scored']:,} scored, {result['failed']} failed\n")
    print(f"{'model':18} {'accuracy':>8} {'published':>9}   agreement with the labels [95 % interval]   FP  FN")
    for model, row in result["models"].items():
        print(f"{model:18} {row['accuracy']:7.1f}% {row['published']:8.1f}%   {share(row):41} {errors(row)}")
    print(f"{'all':38}  {share(result['all']):41} {errors(result['all'])}")
    print(f"{'control: labels shuffled':38}  {share(result['control'])}")
    print("\ndisagreements:", len(result["disagreements"]), "by fault:", result["faults"])
    for row in result["disagreements"]:
        print("  ", json.dumps(row, ensure_ascii=False))
    print("extraction rules:", result["rules"])
    print("reasons:", result["reasons"])
    print(f"\nsolutions without a final line: {len(result['no_final_line'])} (read by the last number, or refused)")
    for row in result["no_final_line"]:
        end = row["end"].replace("\n", " ")
        answer = (row["answer"] or "")[:24]
        print(f"   {row['id']:22} value {row['value']:.0f}  label {int(row['label'])}  read {answer!r:28} …{end}")
    pace = result["speed"]
    print(f"\nthroughput, one process, {pace['characters']:.0f} characters on average, through the runner:")
    print(f"   first pass {pace['cold']:,.0f} /s, later passes {pace['warm']:,.0f} /s ({1e6 / pace['warm']:.1f} µs a sample)")
    for name, row in pace["peers"].items():
        print(f"   {name}: {row['per_second']:,.0f} /s; verify.math is {row['ratio']:.3g} times as fast")
    print("\nthe same answers, the final line written in another way: agreement with the labels")
    for name, row in result["styles"].items():
        cells = "   ".join(f"{who} {100 * r['agree'] / r['of']:6.2f} % of {r['of']:,}" for who, r in row.items())
        print(f"   {name:30} {cells}")


if __name__ == "__main__":
    raise SystemExit(main())
