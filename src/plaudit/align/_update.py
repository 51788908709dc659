"""One step's optimizer updates on answers that were drawn and scored."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plaudit.align._config import GrpoConfig
from plaudit.align._objective import clipped_objective, token_logprobs, token_weights
from plaudit.align._problems import seed_of
from plaudit.align._rollout import MINIBATCH, Answers
from plaudit.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

Rows = NDArray[np.intp]


@dataclass
class _Sums:
    """What is added up over the tokens of a step's updates."""

    loss: float = 0.0
    tokens: int = 0
    clipped: float = 0.0
    divergence: float = 0.0
    kl: float = 0.0
    gap: float = 0.0


class Learner:
    """A model with its optimizer and, where it is needed, a frozen reference.

    Fields:
        model: trained in place. reference: a model that is never changed; None = no divergence is measured.
        optimizer: AdamW over all parameters that take a gradient.

    Raises ModelError for weights of less than 32 bits.
    """

    def __init__(self, model: Any, config: GrpoConfig, reference: Any | None) -> None:
        import torch

        low = sorted({str(p.dtype) for p in model.parameters() if p.requires_grad and p.dtype.itemsize < 4})
        if low:
            raise ModelError(f"the policy's weights are {', '.join(low)}: small steps round to nothing there; load it in float32")
        self.model, self.config = model, config
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        # One kernel for all parameters: the default goes through them one by one, which shows on a model this small.
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=config.learning_rate, betas=config.betas, weight_decay=config.weight_decay, fused=True
        )
        needed = config.kl_coefficient > 0 or config.kl_every is not None
        self.reference = copy.deepcopy(model) if reference is model or (reference is None and needed) else reference

    def learn(self, answers: Answers, advantages: NDArray[np.float64], step: int) -> dict[str, float]:
        """All updates of step 0, 1, ...; numbers for the history. `updates` is 0 where nothing could be learned."""
        begin = time.perf_counter()
        config = self.config
        rows = np.flatnonzero(~np.isnan(advantages))
        batch = _Batch(self, answers, advantages, rows)
        sums, norms = _Sums(), []
        random = np.random.default_rng(seed_of(config.seed, step, MINIBATCH))
        for group in self.optimizer.param_groups:
            group["lr"] = config.rate(step)
        for part in batch.minibatches(random):
            norm = self._update(batch, part, sums)
            if norm is not None:
                norms.append(norm)
        tokens = max(sums.tokens, 1)
        found = {"learning_rate": config.rate(step), "updates": float(len(norms))}
        if sums.tokens:
            found |= {"loss": sums.loss, "clip_fraction": sums.clipped / tokens, "update_kl": sums.divergence / tokens}
            found["sampler_gap"] = sums.gap / tokens
        if norms:
            found["gradient_norm"] = float(np.mean(norms))
        if config.kl_coefficient and sums.tokens:
            found["kl"] = sums.kl / tokens
        found["seconds_update"] = time.perf_counter() - begin
        return found

    def divergence(self, answers: Answers) -> float:
        """KL divergence to the reference a token, estimated (k3) on answers drawn by the policy; NaN without a reference."""
        import torch

        if self.reference is None:
            return float("nan")
        policy = torch.from_numpy(np.concatenate(answers.logprobs)).to(self.model.device)
        with torch.no_grad():
            parts = [
                token_logprobs(self.reference, answers.prompts[k : k + n], answers.tokens[k : k + n], self.config.temperature)
                for n in [self.config.rows]
                for k in range(0, len(answers.prompts), n)
            ]
        difference = (torch.cat(parts) - policy).double()
        return float((torch.exp(difference) - difference - 1).mean())

    def _update(self, batch: _Batch, rows: Rows, sums: _Sums) -> float | None:
        """One optimizer step on some answers; the gradient's norm before clipping, None = there was no gradient to take."""
        import torch

        config = self.config
        weights = token_weights(batch.lengths[rows], config.aggregation, config.max_tokens)
        by_row = dict(zip(rows.tolist(), weights.tolist(), strict=True))
        learning = batch.with_gradient(rows)
        if not len(learning):
            return None
        for part in batch.parts(learning):
            new = batch.logprobs(self.model, part)
            old = batch.old(part, new)
            reference = batch.reference(part) if config.kl_coefficient else None
            found = clipped_objective(
                new, old, batch.spread(part, batch.advantages), batch.spread(part, by_row),
                clip_low=config.clip_low, clip_high=config.clip_high,
                reference_logprobs=reference, kl_coefficient=config.kl_coefficient,
            )  # fmt: skip
            torch.autograd.backward(found.loss)
            with torch.no_grad():
                difference = new.detach() - old
                sums.loss += float(found.loss)
                sums.tokens += len(new)
                sums.clipped += float(found.clipped.sum())
                sums.divergence += float((torch.exp(-difference) + difference - 1).sum())
                sums.kl += 0.0 if found.kl is None else float(found.kl.sum())
                sums.gap += float((old - batch.sampled(part)).abs().sum())
        return self._step()

    def _step(self) -> float | None:
        import torch

        limit = float("inf") if self.config.gradient_clip is None else self.config.gradient_clip
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters, limit))
        # A gradient that is no number would leave nothing of the policy; the step goes without it.
        usable = isfinite(norm)
        if usable:
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return norm if usable else None


class _Batch:
    """The answers of a step as the updates read them."""

    def __init__(self, learner: Learner, answers: Answers, advantages: NDArray[np.float64], rows: Rows) -> None:
        self.learner, self.config, self.rows, self.advantages = learner, learner.config, rows, advantages
        self.prompts, self.tokens, self.sampler = answers.prompts, answers.tokens, answers.logprobs
        self.lengths = np.array([len(tokens) for tokens in self.tokens], dtype=np.int64)
        self._old: dict[int, Tensor] = {}
        self._reference: dict[int, Tensor] = {}
        # A batch that is learned from once has the policy itself as the old one: its ratio is 1 and nothing need be kept.
        if self.config.epochs * self.config.minibatches > 1:
            self._remember(self._old, learner.model)

    def minibatches(self, random: np.random.Generator) -> Iterator[Rows]:
        """The answers of each update, in random order; all of them once in every epoch."""
        for _ in range(self.config.epochs):
            if self.config.minibatches == 1:
                yield self.rows
            else:
                yield from (np.sort(part) for part in np.array_split(random.permutation(self.rows), self.config.minibatches))

    def with_gradient(self, rows: Rows) -> Rows:
        """Those answers that the objective's gradient is not certainly zero for; the others need no forward pass."""
        return rows if self.config.kl_coefficient else rows[self.advantages[rows] != 0]

    def parts(self, rows: Rows) -> Iterator[_Part]:
        """The answers in parts for one forward pass each.

        A policy that is nearly sure writes the same answer several times, and each text is read once for all of them. Texts
        are about as long as the others of their part: little padding.
        """
        alike: dict[tuple[bytes, bytes], list[int]] = {}
        for k in rows.tolist():
            alike.setdefault((self.prompts[k].tobytes(), self.tokens[k].tobytes()), []).append(k)
        texts = sorted(alike.values(), key=lambda same: len(self.prompts[same[0]]) + len(self.tokens[same[0]]))
        for k in range(0, len(texts), self.config.rows):
            yield _Part.of(texts[k : k + self.config.rows], self.lengths)

    def logprobs(self, model: Any, part: _Part) -> Tensor:
        """(k,) log-probabilities of the tokens of the part's answers, answer behind answer."""
        import torch

        config = self.config
        prompts, tokens = [self.prompts[k] for k in part.texts], [self.tokens[k] for k in part.texts]
        found = token_logprobs(model, prompts, tokens, config.temperature, config.precision)
        return found[torch.from_numpy(part.places).to(found.device)]

    def old(self, part: _Part, new: Tensor) -> Tensor:
        """(k,) those of the policy before the first update of this step."""
        import torch

        return torch.cat([self._old[k] for k in part.rows.tolist()]) if self._old else new.detach()

    def reference(self, part: _Part) -> Tensor:
        """(k,) those of the reference; worked out once for all epochs."""
        import torch

        if not self._reference:
            self._remember(self._reference, self.learner.reference)
        return torch.cat([self._reference[k] for k in part.rows.tolist()])

    def sampled(self, part: _Part) -> Tensor:
        """(k,) those that the sampler gave."""
        return self._flat(np.concatenate([self.sampler[k] for k in part.rows.tolist()]))

    def spread(self, part: _Part, column: Any) -> Tensor:
        """(k,) a number of each answer at all of its tokens."""
        return self._flat(np.repeat([column[k] for k in part.rows.tolist()], self.lengths[part.rows]))

    def _flat(self, values: NDArray[Any]) -> Tensor:
        import torch

        return torch.from_numpy(np.asarray(values, np.float32)).to(self.learner.model.device)

    def _remember(self, kept: dict[int, Tensor], model: Any) -> None:
        import torch

        with torch.no_grad():
            for part in self.parts(self.with_gradient(self.rows)):
                pieces = torch.split(self.logprobs(model, part), self.lengths[part.rows].tolist())
                kept.update(zip(part.rows.tolist(), pieces, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Some answers for one forward pass.

    Fields:
        rows: (r,) the answers. texts: a row for each distinct text among them.
        places: (k,) for each token of the answers, its place among the tokens of the distinct texts.
    """

    rows: Rows
    texts: list[int]
    places: NDArray[np.int64]

    @classmethod
    def of(cls, alike: list[list[int]], lengths: NDArray[np.int64]) -> _Part:
        """The part of some texts, each given as the rows that say it."""
        texts = [same[0] for same in alike]
        starts = np.cumsum([0, *lengths[texts].tolist()])
        places = [
            np.arange(start, start + lengths[same[0]]) for start, same in zip(starts.tolist(), alike, strict=False) for _ in same
        ]
        return cls(np.array([k for same in alike for k in same], dtype=np.intp), texts, np.concatenate(places))
