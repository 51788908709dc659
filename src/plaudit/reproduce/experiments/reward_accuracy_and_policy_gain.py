"""Whether the more accurate of two rewards picks the better answers."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, Literal

from plaudit.reproduce import Progress, Trial, experiment
from plaudit.reward import Facts, Reward
from plaudit.stats import normal_quantile
from plaudit.types import Context, Sample, Verdict
from plaudit.worlds import ArithmeticAnswer

_PROBLEMS, _ANSWERS = 300, 16
_STEPS = 15

Kind = Literal["noise", "saturated", "outliers"]


@dataclass(frozen=True)
class Proxy(Reward):
    """The exact verdict with errors of one kind; the same text always meets the same error, as with a reward model.

    Fields:
        kind: ``"noise"``: normal noise of standard deviation `size` is added. ``"saturated"``: always sure of itself, 1 or 0, and
            the wrong way round on a share `size` of the texts. ``"outliers"``: right, but 3 for a share `size` of the wrong
            answers.
        seed: of the errors.
    """

    kind: Kind = "noise"
    size: float = 0.1
    seed: int = 0

    @property
    def facts(self) -> Facts:
        """No bounds."""
        return Facts(range=(float("-inf"), float("inf")), reads=frozenset({"prompt", "response"}))

    def score_one(self, sample: Sample, context: Context) -> Verdict:
        """The verdict with this text's error."""
        truth = ArithmeticAnswer().score_one(sample, context)
        if truth.value is None:
            return truth
        text = f"{self.kind} {self.size} {self.seed}\n{sample.prompt}\n{sample.response}"
        digest = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
        chance = (digest + 0.5) / 2**64
        if self.kind == "noise":
            return Verdict(truth.value + self.size * normal_quantile(chance))
        if self.kind == "saturated":
            return Verdict(1.0 - truth.value if chance < self.size else truth.value)
        return Verdict(3.0 if truth.value == 0 and chance < self.size else truth.value)


_SIZES: dict[Kind, tuple[float, ...]] = {
    "noise": (0.2, 0.4, 0.7, 1.0, 1.5, 2.5),
    "saturated": (0.05, 0.1, 0.2, 0.3),
    "outliers": (0.02, 0.05, 0.1, 0.2),
}
_TRAINED = ("noise 0.7", "saturated 0.1", "outliers 0.1")


@experiment(
    systems=[136],
    claim="Accuracy does not rank reward models by what they make of a policy: over rewards with errors of several kinds the "
    "rank correlation of accuracy and gain is well below 1 (The Accuracy Paradox in RLHF: When Better Reward Models Don't Yield "
    "Better Language Models).",
    seeds=(0, 1, 2),
    seconds=290,
    threshold=0.1,
    smoke=0.1,
)
def accuracy_does_not_rank_rewards(seed: int, progress: Progress, *, scale: float = 1.0) -> Trial:
    """Effect: 1 less the rank correlation of accuracy and best-of-16 gain over rewards with errors of three kinds.

    Control: the same over those whose errors are normal noise alone, which accuracy ranks as it should. Three of the rewards are
    trained on as well; what came of it stands in the details.
    """
    from plaudit.align import GrpoConfig, policy_gain_probe
    from plaudit.worlds import arithmetic_problems, load_policy

    config = GrpoConfig(steps=max(2, round(_STEPS * scale)), prompts_per_step=16, seed=seed, kl_every=1)
    rewards: dict[str, Reward] = {f"{kind} {size:g}": Proxy(kind, size, seed) for kind, sizes in _SIZES.items() for size in sizes}
    seen: list[str] = []

    def report(name: str) -> None:
        seen.append(name)
        progress(name, len(seen) / (len(rewards) + 1))

    probe = policy_gain_probe(
        load_policy(), arithmetic_problems(max(30, round(_PROBLEMS * scale)), seed, "evaluation"), rewards, ArithmeticAnswer(),
        n=_ANSWERS, config=config, training_problems=arithmetic_problems(_STEPS * 16, seed), trained=_TRAINED, seed=seed,
        progress=report,
    )  # fmt: skip
    noise = type(probe)(tuple(row for row in probe.rows if row.name.startswith("noise")), probe.baseline, probe.ceiling)
    fit = probe.fit()
    return Trial(
        effect=1 - probe.rank_correlation(),
        control=1 - noise.rank_correlation(),
        unit="1 - rank correlation",
        details={
            "rewards": [_known(asdict(row)) for row in probe.rows],
            "baseline": probe.baseline,
            "ceiling": probe.ceiling,
            "fit": {"coefficients": fit.coefficients, "argmax": fit.argmax, "turns_down": fit.turns_down},
        },
        curves={"accuracy": probe.column("accuracy").tolist(), "best of 16": probe.column("best_of_n").tolist()},
    )


def _known(row: dict[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(value, float) and not isfinite(value) else value for name, value in row.items()}
