"""Train the tiny policy against a composed reward. Three steps show that it runs; 80 take about a minute on two cores."""

import argparse

from plaudit.align import GrpoConfig, evaluate_policy, grpo
from plaudit.worlds import ArithmeticAnswer, ArithmeticSteps, arithmetic_problems, load_policy

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("--steps", type=int, default=3)
arguments.add_argument("--folder", default=None, help="for checkpoints and the history; give the same again to resume")
options = arguments.parse_args()

reward = ArithmeticAnswer().named("answer") + 0.3 * ArithmeticSteps().named("steps")
config = GrpoConfig(steps=options.steps, prompts_per_step=16)
policy = load_policy("arithmetic")
fresh = arithmetic_problems(100, seed=7, split="evaluation")  # never among the training problems

before = evaluate_policy(policy, fresh, ArithmeticAnswer(), n=2)
training = grpo(
    policy,
    arithmetic_problems(config.steps * config.prompts_per_step, seed=0),
    reward,
    config,
    folder=options.folder,
    resume=options.folder is not None,
    progress=lambda row: print(f"step {row['step']:.0f}: mean reward {row['reward']:.3f}"),
)
after = evaluate_policy(policy, fresh, ArithmeticAnswer(), n=2)
low, high = after.interval
print(f"pass@1 before {before.mean:.3f}, after {training.steps} steps {after.mean:.3f} (95% {low:.3f} to {high:.3f})")
