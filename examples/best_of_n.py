"""Picking one answer of eight: at random, by vote, by a reward, and what the best possible pick would give."""

import numpy as np

from plaudit.search import select, selection_curve
from plaudit.worlds import ArithmeticAnswer, ArithmeticSteps, arithmetic_problems, load_policy

problems = arithmetic_problems(64, seed=3, split="evaluation")
policy = load_policy("arithmetic")
drawn = policy.sample([problem.prompt for problem in problems], n=8, seed=0, max_tokens=128)
samples = [problem.sample(completion.text) for problem, eight in zip(problems, drawn, strict=True) for completion in eight]

right = ArithmeticAnswer().score(samples)
steps = ArithmeticSteps().score(samples)
correct = right.values.reshape(64, 8) == 1.0
answers = np.array([verdict.answer for verdict in right], dtype=object).reshape(64, 8).tolist()

curves = selection_curve(correct, answers, scores={"step checker": steps.values.reshape(64, 8)})
for name, curve in curves.items():
    print(f"{name:>14}  " + "  ".join(f"N={n}: {a:.3f}" for n, a in zip(curve.n, curve.accuracy, strict=True)))

choice = select(samples[:8], ArithmeticSteps())[0]
print("picked for", problems[0].prompt.strip(), "→", samples[choice.index].response.split("\n")[-1])
assert curves["majority"].accuracy[-1] > curves["policy"].accuracy[-1]
