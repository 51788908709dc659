"""A reward of your own: a function is enough, and it combines with everything else."""

from plaudit import Sample
from plaudit.reward import check_reward, reward
from plaudit.verify import Length, Math


@reward(range=(0, 1))
def shows_work(response: str) -> float:
    """The share of the lines above the answer that contain an equals sign."""
    lines = response.strip().split("\n")[:-1]
    return sum("=" in line for line in lines) / max(1, len(lines))


total = Math().named("right") + 0.2 * shows_work + 0.1 * Length(max_length=400, cache=100, unit="characters")

samples = [
    Sample("What is 12 * 3 + 4?", "12 * 3 = 36\n36 + 4 = 40\n#### 40", reference="40"),
    Sample("What is 12 * 3 + 4?", "I think\n#### 40", reference="40"),
    Sample("What is 12 * 3 + 4?", "12 * 3 = 36\n#### 36", reference="40"),
]
verdicts = total.score(samples)
print(verdicts.values)  # NaN would mean: not scored
print(total.explain(samples[1]))  # the tree: every leaf's raw value, weight and share

# Does it behave as a reward should? Its range, determinism, order, empty and huge and hostile input are tried.
report = check_reward(shows_work, samples)
print("checked:", "fine" if report.ok else report)
assert verdicts.values.argmax() == 0
