"""What the exact checkers of the arithmetic world tell apart."""

from __future__ import annotations

from plaudit.reproduce import Progress, Trial, experiment

_PROBLEMS = 400


@experiment(
    systems=[],
    claim="A wrong step lowers the step checker's score; a step that is true and useless leaves the answer checker's alone.",
    seeds=(0, 1, 2),
    seconds=6,
    smoke=0.25,
)
def step_checker_sees_wrong_steps(seed: int, progress: Progress, *, scale: float = 1.0) -> Trial:
    """Effect: how far `ArithmeticSteps` falls at a wrong step; control: how far `ArithmeticAnswer` falls at a filler step."""
    from plaudit.worlds import ArithmeticAnswer, ArithmeticSteps, arithmetic_problems, corrupt

    problems = arithmetic_problems(max(1, round(_PROBLEMS * scale)), seed, "evaluation")
    clean = [problem.sample(problem.solution) for problem in problems]
    wrong = [made.sample for problem in problems if (made := corrupt(problem, "wrong_step", seed))]
    progress(f"{len(wrong)} wrong steps", 0.5)
    filler = [made.sample for problem in problems if (made := corrupt(problem, "filler_step", seed))]
    steps, answer = ArithmeticSteps(), ArithmeticAnswer()
    return Trial(
        effect=float(steps(clean).mean() - steps(wrong).mean()),
        control=float(answer(clean).mean() - answer(filler).mean()),
        unit="score",
        details={
            "problems": len(problems),
            "steps": {"clean": steps(clean).mean(), "wrong_step": steps(wrong).mean(), "filler_step": steps(filler).mean()},
            "answer": {"clean": answer(clean).mean(), "wrong_step": answer(wrong).mean(), "filler_step": answer(filler).mean()},
        },
    )
