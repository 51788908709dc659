"""Features of a language model's own reading of a response: hidden states of its tokens, and how likely they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import ModelError, SpecError
from plaudit.learned._rows import FeatureRows, concatenate_rows
from plaudit.lm import resolve
from plaudit.text import final_text
from plaudit.types import Context, Reader, Reading, Sample

STATISTICS = ("logprob", "entropy", "logsumexp")
"""What is read of each token beside its states."""

WHOLE = ("mean", "minimum", "maximum", "sum")
"""How each statistic is summed up over a response; with the logarithm of the number of tokens they make its `whole`."""

_TOKENS_AT_ONCE = 200_000  # tokens whose states are read in one call: bounds the memory


@dataclass(frozen=True)
class HiddenFeatures:
    """What a language model computes while it reads a response: hidden states and log-probability statistics of every token.

    Each token has the states of the chosen layers at its own position, and the log-probability with which the model would have
    written it, the entropy of the distribution that it was drawn from, and that distribution's log-sum-exp. The response as a
    whole has the mean, minimum, maximum and sum of these three, and the logarithm of its number of tokens.

    A token's own state says what the text is about; that the token was unlikely is hardly in it, because that is a product of
    the state before it and the token. Keep `logprobs`, unless the policy's likelihood must not count.

    Fields:
        model: address, ``"world:arithmetic"`` or ``"hf:NAME"``; or the name of a model of the call's context with a colon,
            ``"policy:"``.
        layers: whose states are taken; 0 = the embedding, -1 = the last one; () = none.
        logprobs: take the statistics.
        prompt: False = responses are read behind an empty line instead of their prompt.

    Everything that the policy wrote is read, its thinking part too. Tokens are those of the text; where a sample was drawn in
    other tokens than the text would have, the sample's own. Features belong to one model: those of another, or of the same one
    after training, mean something else.

    Raises SpecError when nothing is taken.
    Source: "Mining Intrinsic Rewards from LLM Hidden States for Efficient Best-of-N Sampling".

    >>> features = HiddenFeatures("world:arithmetic", layers=(-1,))
    >>> features.rows([Sample("7+5=?\\n", "7+5=12\\n#### 12")]).widths
    (131, 13)
    """

    model: str = "policy:"
    layers: tuple[int, ...] = (-1,)
    logprobs: bool = True
    prompt: bool = True
    _resolved: list[Reader] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        if not all(type(layer) is int for layer in self.layers) or len(set(self.layers)) != len(self.layers):
            raise SpecError(f"layers are {self.layers!r}: expected different whole numbers, such as (-1,)")
        if not self.layers and not self.logprobs:
            raise SpecError("layers is empty and logprobs is false: there is nothing to take from the model")
        if ":" not in self.model:
            raise SpecError(
                f"model is {self.model!r}: expected an address such as 'hf:NAME', or 'policy:' for the call's own model"
            )

    def model_of(self, context: Context | None = None) -> Reader:
        """The model; raises ModelError when the call's context has none of that name, or it cannot read."""
        name, _, rest = self.model.partition(":")
        if not rest:
            models = {} if context is None else context.models
            if name not in models:
                raise ModelError(f"model {self.model!r}: the call's Context holds no model of the name {name!r}")
            return _reader(self.model, models[name])
        if not self._resolved:
            self._resolved.append(_reader(self.model, resolve(self.model)))
        return self._resolved[0]

    def blind(self) -> HiddenFeatures:
        """The same with responses read behind an empty line."""
        return HiddenFeatures(self.model, self.layers, self.logprobs, False)

    @property
    def reads(self) -> frozenset[str]:
        """Fields of a sample that the features depend on."""
        name, _, rest = self.model.partition(":")
        return frozenset({"prompt", "response", "tokens"} | (set() if rest else {f"models.{name}"}))

    def to_json(self) -> dict[str, Any]:
        """What a saved model remembers of them."""
        return {
            "kind": "hidden", "model": self.model, "layers": list(self.layers), "logprobs": self.logprobs, "prompt": self.prompt,
        }  # fmt: skip

    def blind_rows(self, rows: FeatureRows, samples: Sequence[Sample], context: Context | None = None) -> FeatureRows:
        """What `blind()` gives: everything is read once more."""
        return self.blind().rows(samples, context) if self.prompt else rows

    def rows(self, samples: Sequence[Sample], context: Context | None = None) -> FeatureRows:
        """Features of n responses: of every token, and of each as a whole."""
        model = self.model_of(context)
        if not samples:
            return FeatureRows(np.zeros((0, 0), np.float32), np.zeros(0, np.int64), np.zeros((0, 0), np.float32))
        prompts = [sample.prompt if self.prompt else "\n" for sample in samples]
        tokens = self._tokens(model, prompts, samples)
        found: list[FeatureRows | None] = [None] * len(samples)
        for places in _portions(prompts, [len(ids) for ids in tokens]):
            groups = _by_prompt(places, prompts)
            readings = model.read(
                [prompts[group[0]] for group in groups], [[tokens[k] for k in group] for group in groups], self._what
            )
            for group, read in zip(groups, readings, strict=True):
                for k, reading in zip(group, read, strict=True):
                    found[k] = self._row(reading)
        return concatenate_rows([row for row in found if row is not None])

    @property
    def _what(self) -> tuple[str, ...]:
        return (*(STATISTICS if self.logprobs else ()), *(f"hidden:{layer}" for layer in self.layers))

    def _tokens(self, model: Reader, prompts: Sequence[Any], samples: Sequence[Sample]) -> list[NDArray[np.int64]]:
        """The text's own tokens where the sampled ones begin with them, so that features do not depend on an end token."""
        texts = [final_text(sample, "whole") or "" for sample in samples]
        written = [np.asarray(ids, dtype=np.int64) for ids in model.tokenize(prompts, texts)]
        sampled = [None if sample.tokens is None else np.asarray(sample.tokens, dtype=np.int64) for sample in samples]
        return [
            ids if drawn is None or np.array_equal(drawn[: len(ids)], ids) else drawn
            for ids, drawn in zip(written, sampled, strict=True)
        ]

    def _row(self, reading: Reading) -> FeatureRows:
        n = len(reading.tokens)
        columns = [reading.hidden[layer] for layer in self.layers]
        whole = np.zeros(0, np.float32)
        if self.logprobs:
            statistics = np.stack([np.asarray(getattr(reading, name), dtype=np.float32) for name in STATISTICS], axis=1)
            columns.append(statistics)
            whole = _summary(statistics)
        tokens = np.concatenate(columns, axis=1).astype(np.float32)
        return FeatureRows(tokens, np.array([n], np.int64), whole[None])


def hidden_features(values: Mapping[str, Any]) -> HiddenFeatures:
    """The features that `HiddenFeatures.to_json` describes. Raises SpecError when they cannot be made."""
    try:
        return HiddenFeatures(str(values["model"]), tuple(values["layers"]), bool(values["logprobs"]), bool(values["prompt"]))
    except (KeyError, TypeError) as error:
        raise SpecError(f"the description of hidden features cannot be read: {error}") from error


def _summary(statistics: NDArray[np.float32]) -> NDArray[np.float32]:
    """(4 k + 1,) mean, minimum, maximum and sum of k statistics over the tokens, and the logarithm of their number plus 1."""
    n, k = statistics.shape
    if n == 0:
        return np.zeros(4 * k + 1, np.float32)
    exact = statistics.astype(np.float64)
    parts = [exact.mean(0), exact.min(0), exact.max(0), exact.sum(0), np.array([np.log1p(n)])]
    return np.concatenate(parts).astype(np.float32)


def _reader(address: str, model: Any) -> Reader:
    if not isinstance(model, Reader):
        raise ModelError(
            f"{address} cannot read given texts: expected a model that runs here, such as 'hf:NAME' or 'world:arithmetic'"
        )
    return model


def _by_prompt(places: Sequence[int], prompts: Sequence[Any]) -> list[list[int]]:
    groups: dict[str, list[int]] = {}
    for k in places:
        groups.setdefault(repr(prompts[k]), []).append(k)
    return list(groups.values())


def _portions(prompts: Sequence[Any], lengths: Sequence[int]) -> list[list[int]]:
    """Places in portions of bounded tokens; responses to one prompt stay together as far as they fit."""
    portions: list[list[int]] = [[]]
    size = 0
    for group in _by_prompt(range(len(prompts)), prompts):
        for k in group:
            if portions[-1] and size + lengths[k] > _TOKENS_AT_ONCE:
                portions.append([])
                size = 0
            portions[-1].append(k)
            size += lengths[k]
    return portions
