"""`RewardModel`: a trained model folder as a reward."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import ModelError, SpecError
from plaudit.learned._features import Features
from plaudit.learned._fit import Training
from plaudit.learned._folder import Loaded, folder_digest, read_folder
from plaudit.learned._head import Head, contributions, inputs_of, score_rows, tensors
from plaudit.learned._trained import TrainedModel, train
from plaudit.learned._training_set import TrainingSet
from plaudit.reward import Facts, Reward
from plaudit.text import final_text
from plaudit.types import Context, Cost, Dense, Sample, Status, Verdict, declare_reason

Output = Literal["score", "standard", "probability"]
"""``"score"``: as the head gives it; ``"standard"``: in standard deviations above the mean training response;
``"probability"``: that the response is better than the mean training response (cross-entropy: that its label is 1)."""

declare_reason(
    "response_unreadable", Status.SCORED, "The reward model's backbone cannot read the response, as when it is too long for it."
)

_KEPT: dict[tuple[str, str], Loaded] = {}
_TESTED: set[tuple[str, str]] = set()
_LOCK = threading.Lock()


@dataclass(frozen=True)
class RewardModel(Reward):
    """A trained reward model: a head on frozen features, out of a folder that `plaudit train` or `TrainedModel.save` wrote.

    Fields:
        folder: with ``plaudit.json`` and ``head.safetensors``; its contents are the model's identity.
        output: ``"score"``, ``"standard"`` or ``"probability"``.
        dense: place a gated-linear score on the tokens: what each adds. Only where the sample has its tokens.
        max_characters: a longer response is not read: SCORED at the bottom, ``response_too_large``.

    The folder is read and its backbone checked at the first score: it is refused when weights are missing, left over, changed
    or not numbers, when the backbone is another one than it was trained on, and when known responses do not get their known
    scores again. `load` does that at once. Empty responses, unclosed thoughts and responses that the backbone cannot read
    (``response_unreadable``: longer than its context) get the bottom: 0 as a probability, else the lowest score of a training
    response.

    Raises SpecError for another output, ModelError (at `load` and at the first score) for a folder that is refused.
    Source: "Reusing Embeddings: Reproducible Reward Model Research in Large Language Model Alignment without GPUs"; "Mining
    Intrinsic Rewards from LLM Hidden States for Efficient Best-of-N Sampling".

    >>> RewardModel(Path("rm"), output="probability").facts.range
    (0.0, 1.0)
    """

    folder: Path
    output: Output = "score"
    dense: bool = False
    max_characters: int = 200_000

    # A small one that comes with plaudit, on the tiny arithmetic policy: the quickstart's, with seed 0.
    example: ClassVar[Mapping[str, Any]] = {"folder": str(Path(__file__).with_name("arithmetic_reward_model"))}

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        if self.output not in ("score", "standard", "probability"):
            raise SpecError(f"output is {self.output!r}: expected 'score', 'standard' or 'probability'")
        if self.dense and self.output == "probability":
            raise SpecError(
                "dense places a score on the tokens; a probability is no sum of what they add: use output 'score' or 'standard'"
            )
        if not self.max_characters >= 1:
            raise SpecError(f"max_characters is {self.max_characters!r}: expected at least 1")

    @classmethod
    def load(cls, folder: str | Path, context: Context | None = None, **fields: Any) -> RewardModel:
        """The reward of a folder, read and tested now; `fields` are those of the class."""
        model = cls(Path(folder), **fields)
        model._tested(context)
        return model

    @classmethod
    def fit(
        cls,
        data: TrainingSet,
        features: Features,
        head: Head | None = None,
        training: Training | None = None,
        **options: Any,
    ) -> TrainedModel:
        """Train a new one; see `train`."""
        return train(data, features, head, training, **options)

    @property
    def facts(self) -> Facts:
        """The range is (0, 1) for a probability, else unbounded; gpu lane. `reads` follows from the folder, once it is there."""
        return Facts(
            range=(0.0, 1.0) if self.output == "probability" else (-inf, inf),
            reads=self._reads(),
            lane="gpu",
            version="1",
            systems=(116, 183),
        )

    def description(self) -> Mapping[str, Any]:
        """The folder's ``plaudit.json``: features, head, training data, metrics."""
        return self._loaded().description

    def score_batch(self, samples: Sequence[Sample], context: Context) -> list[Verdict]:
        """Score responses in one pass over the backbone."""
        began = time.perf_counter()
        model = self._tested(context)
        verdicts = [self._without_model(sample, model) for sample in samples]
        read = [k for k, verdict in enumerate(verdicts) if verdict is None]
        if read:
            chosen = [samples[k] for k in read]
            scored = self._verdicts(model, chosen, context, (time.perf_counter() - began) / len(read))
            for k, verdict in zip(read, scored, strict=True):
                verdicts[k] = verdict
        return [verdict for verdict in verdicts if verdict is not None]

    def _verdicts(self, model: Loaded, samples: Sequence[Sample], context: Context, loading: float) -> list[Verdict]:
        began = time.perf_counter()
        try:
            rows = model.features.rows(samples, context)
        except ModelError as error:
            if len(samples) == 1:
                return [self._unread(model, samples[0], context, error)]
            # One response that the backbone refuses must not take the others of its batch with it.
            half = len(samples) // 2
            return [v for part in (samples[:half], samples[half:]) for v in self._verdicts(model, part, context, loading)]
        scores = score_rows(model.head, model.weights, rows)
        placed: list[NDArray[np.float64]] | None = None
        if self.dense and model.head.kind == "gated_linear":
            import torch

            with torch.inference_mode():
                placed = contributions(model.head, tensors(model.weights), inputs_of(model.head, rows))
        cost = Cost(seconds=(time.perf_counter() - began) / len(samples) + loading)
        verdicts = []
        for k, (sample, score) in enumerate(zip(samples, scores, strict=True)):
            if model.head.on_tokens and rows.lengths[k] == 0:
                verdicts.append(self._bottom(model, "response_empty"))
                continue
            if not np.isfinite(score):
                verdicts.append(Verdict.failed("invalid_value", f"the head gave {score}", cost=cost))
                continue
            dense = self._dense(model, sample, placed[k]) if placed is not None else None
            verdicts.append(Verdict(self._value(model, float(score)), dense=dense, cost=cost))
        return verdicts

    def _unread(self, model: Loaded, sample: Sample, context: Context, error: ModelError) -> Verdict:
        """A response that the backbone refuses: its own fault where a harmless one to the same prompt can be read."""
        try:
            model.features.rows([Sample(sample.prompt, "1")], context)
        except ModelError:
            return Verdict.failed("reward_error", str(error))
        return self._bottom(model, "response_unreadable", str(error))

    def _dense(self, model: Loaded, sample: Sample, values: NDArray[np.float64]) -> Dense | None:
        if sample.tokens is None or len(values) > len(sample.tokens):
            return None
        if self.output == "standard":
            values = values / max(model.scale.std, 1e-12)
        return Dense("token", values, np.arange(len(values)), np.arange(1, len(values) + 1))

    def _value(self, model: Loaded, score: float) -> float:
        if self.output == "score":
            return score
        if self.output == "standard":
            return (score - model.scale.mean) / max(model.scale.std, 1e-12)
        ahead = score if model.description["training"]["loss"] == "cross_entropy" else score - model.scale.mean
        return float(0.5 * (1 + np.tanh(ahead / 2)))

    def _without_model(self, sample: Sample, model: Loaded) -> Verdict | None:
        text = final_text(sample)
        if text is None:
            return self._bottom(model, "response_unclosed_thought")
        if not text.strip():
            return self._bottom(model, "response_empty")
        if len(text) > self.max_characters:
            said = f"{len(text):,} characters, at most {self.max_characters:,} are read"
            return self._bottom(model, "response_too_large", said)
        return None

    def _bottom(self, model: Loaded, reason: str, explanation: str | None = None) -> Verdict:
        value = 0.0 if self.output == "probability" else self._value(model, model.scale.lowest)
        return Verdict(value, reason=reason, explanation=explanation)

    def _reads(self) -> frozenset[str]:
        read = frozenset({"prompt", "response"})
        try:
            return read | self._loaded().features.reads if self.folder.is_dir() else read | {"tokens"}
        except Exception:  # a folder that is refused says so when it is to score
            return read | {"tokens"}

    def _loaded(self) -> Loaded:
        """The folder as it is now; what is in memory is used again while its contents are the same."""
        key = self._key()
        with _LOCK:
            if key not in _KEPT:
                loaded = read_folder(self.folder)
                for old in [known for known in _KEPT if known[0] == key[0]]:
                    del _KEPT[old]
                _KEPT[key] = loaded
            return _KEPT[key]

    def _key(self) -> tuple[str, str]:
        return str(self.folder.absolute()), folder_digest(self.folder)

    def _tested(self, context: Context | None) -> Loaded:
        loaded, key = self._loaded(), self._key()
        # A model of the call's context may be another one at every call.
        if key not in _TESTED or _is_live(loaded.features):
            loaded.self_test(self.folder, context)
            _TESTED.add(key)
        return loaded


def _is_live(features: Features) -> bool:
    return any(name.startswith("models.") for name in features.reads)
