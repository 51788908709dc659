"""The quickstart, repeated over seeds: what a newcomer sees is no luck of one seed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from plaudit.reproduce import Progress, Trial, experiment


@experiment(
    systems=[],
    claim="The quickstart's training lifts pass@1 on held-out problems by at least 8 points.",
    seeds=(0, 1, 2),
    seconds=500,
    threshold=0.08,
    smoke=0.05,
)
def quickstart(seed: int, progress: Progress, *, scale: float = 1.0) -> Trial:
    """Gain of the trained policy; control: the untrained policy, measured once more with other random numbers."""
    from plaudit.align import GrpoConfig, evaluate_policy
    from plaudit.quickstart import quickstart as run
    from plaudit.worlds import ArithmeticAnswer, arithmetic_problems, load_policy

    def say(stage: str, done: float | None, words: str) -> None:
        progress(f"{stage}: {words}", 0.0 if done is None else done)

    with tempfile.TemporaryDirectory() as folder:
        problems = max(16, 2 * round(128 * scale))
        config = GrpoConfig(steps=max(1, round(80 * scale)))
        held_out = max(20, round(500 * scale))
        found = run(Path(folder), seed=seed, say=say, problems=problems, config=config, held_out=held_out)
    row = found.to_json()
    fresh = arithmetic_problems(held_out, seed=20_000 + seed, split="evaluation")
    again = evaluate_policy(load_policy(), fresh, ArithmeticAnswer(), 4, seed=seed + 1_000)
    before = row["grpo"]["before"]
    details: dict[str, Any] = {name: row[name] for name in ("pass_at_1", "best_of_8", "attack_success", "grpo")}
    details["reward_model_minus_majority"] = row["best_of_8"]["reward_model"] - row["best_of_8"]["majority"]
    return Trial(effect=row["grpo"]["gain"], control=again.mean - before, unit="pass@1", details=details)
