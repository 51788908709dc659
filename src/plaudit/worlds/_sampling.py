"""Drawing completions from a small Llama: one cache for all rows, and rows that have ended leave the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import ModelError
from plaudit.types import Completion

if TYPE_CHECKING:
    from torch import Tensor

    from plaudit.worlds._forward import Cache, LlamaWeights

KEEP = 0.95
"""Share of running rows in the batch below which the ended ones are dropped."""


@dataclass(frozen=True, eq=False)
class Policy:
    """A causal language model with its tokenizer.

    Fields:
        model: a ``LlamaForCausalLM``; its weights are read at every call, so it may be in training.
        tokenizer: with an end token.
    """

    model: Any
    tokenizer: Any

    def sample(
        self,
        prompts: Sequence[str],
        n: int = 1,
        temperature: float = 1.0,
        seed: int | None = None,
        max_tokens: int | None = None,
        rows: int = 512,
    ) -> list[list[Completion]]:
        """n completions for each prompt; see `sample`."""
        return sample(self, prompts, n, temperature, seed, max_tokens, rows)


@dataclass(frozen=True, eq=False)
class Drawn:
    """Completions of m rows as arrays.

    Fields:
        tokens: (m, t) int64 token ids; behind a row's `length` they mean nothing.
        logprobs: (m, t) float32 log-probability of each token under the distribution it was drawn from; greedy: under the
            model's own.
        lengths: (m,) int64 tokens of each row, its end token included.
        ended: (m,) whether the row wrote its end token; False = it was cut at the limit.
    """

    tokens: NDArray[np.int64]
    logprobs: NDArray[np.float32]
    lengths: NDArray[np.int64]
    ended: NDArray[np.bool_]


def sample(
    policy: Policy,
    prompts: Sequence[str],
    n: int = 1,
    temperature: float = 1.0,
    seed: int | None = None,
    max_tokens: int | None = None,
    rows: int = 512,
) -> list[list[Completion]]:
    """n completions for each prompt, drawn at a temperature.

    The completion of a prompt depends on the seed and its place (prompt, completion), not on `rows` or on when other rows end.

    Args:
        policy: a model with its tokenizer.
        prompts: p texts, taken as they are.
        temperature: 0 = the likeliest token each time (greedy).
        seed: None = different at every call.
        max_tokens: most tokens of one completion; None = up to the model's context.
        rows: completions drawn side by side; bounds the memory.

    Returns p lists of n completions: `text` without the end token, `tokens` and `logprobs` with it (under the distribution
    that was drawn from; for greedy under the model's own), `finish` "stop" or "length".

    Raises ModelError for an empty prompt, a prompt that leaves no room in the context, or a model that is no plain Llama;
    ValueError for n, temperature, max_tokens or rows out of range.

    >>> from plaudit.worlds import load_policy
    >>> completion = sample(load_policy("arithmetic-strong"), ["7+5=?\\n"], temperature=0.0)[0][0]
    >>> completion.text, completion.finish, len(completion.tokens)
    ('7+5=12\\n#### 12', 'stop', 15)
    """
    drawn = draw(policy, prompts, n, temperature, seed, max_tokens, rows)
    kept = [drawn.tokens[k, : drawn.lengths[k]] for k in range(len(drawn.lengths))]
    texts = policy.tokenizer.batch_decode([tokens[:-1] if end else tokens for tokens, end in zip(kept, drawn.ended, strict=True)])
    completions = [
        Completion(
            texts[k],
            finish="stop" if drawn.ended[k] else "length",
            tokens=kept[k],
            logprobs=drawn.logprobs[k, : drawn.lengths[k]],
        )
        for k in range(len(kept))
    ]
    return [completions[k * n : (k + 1) * n] for k in range(len(prompts))]


def draw(
    policy: Policy,
    prompts: Sequence[str],
    n: int = 1,
    temperature: float = 1.0,
    seed: int | None = None,
    max_tokens: int | None = None,
    rows: int = 512,
) -> Drawn:
    """The completions of `sample` as arrays: row ``k * n + j`` is completion j of prompt k.

    >>> from plaudit.worlds import load_policy
    >>> drawn = draw(load_policy(), ["7+5=?\\n", "50-9=?\\n"], n=4, seed=0, max_tokens=20)
    >>> drawn.lengths.shape, drawn.logprobs.shape == drawn.tokens.shape
    ((8,), True)
    """
    import torch

    from plaudit.worlds._forward import llama_weights

    if n < 1 or temperature < 0 or rows < 1 or (max_tokens is not None and max_tokens < 1):
        raise ValueError(f"n={n}, temperature={temperature}, max_tokens={max_tokens}, rows={rows}: expected positive numbers")
    with torch.inference_mode():
        weights = llama_weights(policy.model)
        ids = _encoded(policy.tokenizer, prompts, weights.context)
        room = weights.context - max(map(len, ids), default=0)
        limit = room if max_tokens is None else min(max_tokens, room)
        generator = torch.Generator()
        generator.manual_seed(seed) if seed is not None else generator.seed()
        blocks = []
        at_once = max(1, rows // n)
        for first in range(0, len(ids), at_once):
            block = ids[first : first + at_once]
            # On the CPU and for all rows alike, so that the draws do not depend on device, blocks or rows that leave.
            noise = torch.rand((len(block) * n, limit), generator=generator, dtype=torch.float64).to(weights.device)
            blocks.append(_Decoding(weights, block, n, limit, temperature, noise, policy.tokenizer.eos_token_id).run())
    return _joined(blocks)


def _encoded(tokenizer: Any, prompts: Sequence[str], context: int) -> list[list[int]]:
    if isinstance(prompts, str):
        raise TypeError("prompts is one text: expected a list of texts")
    ids: list[list[int]] = tokenizer(list(prompts), add_special_tokens=True)["input_ids"] if len(prompts) else []
    for k, tokens in enumerate(ids):
        if not tokens:
            raise ModelError(f"prompt {k} is empty: a completion needs at least one token to go on from")
        if len(tokens) >= context:
            raise ModelError(f"prompt {k} has {len(tokens):,} tokens: the model's context is {context:,} with the completion")
    if tokenizer.eos_token_id is None:
        raise ModelError("the tokenizer has no end token (eos_token): completions would never end")
    return ids


class _Decoding:
    """The state of one block of rows while it is decoded."""

    def __init__(
        self,
        weights: LlamaWeights,
        prompts: list[list[int]],
        n: int,
        limit: int,
        temperature: float,
        noise: Tensor,
        end_token: int,
    ) -> None:
        import torch

        self.weights, self.limit, self.temperature, self.noise, self.end_token = weights, limit, temperature, noise, end_token
        self.prompts, self.n = prompts, n
        m = len(prompts) * n
        device = weights.device
        self.tokens = torch.full((m, limit), end_token, dtype=torch.long, device=device)
        self.logprobs = torch.zeros((m, limit), dtype=torch.float32, device=device)
        self.lengths = torch.full((m,), limit, dtype=torch.long, device=device)
        self.ended = torch.zeros(m, dtype=torch.bool, device=device)

    def run(self) -> Drawn:
        import torch

        from plaudit.worlds._forward import forward

        cache, logits, positions = self._read_prompts()
        # Completion t of a row goes to row `alive[i]` of the results; `running` marks rows of the batch that have not ended.
        alive = torch.arange(len(self.tokens), device=self.weights.device)
        running = torch.ones_like(alive, dtype=torch.bool)
        count = len(alive)
        for t in range(self.limit):
            token = self._choose(logits, alive, t)
            ends = running & (token == self.end_token)
            self.lengths[alive[ends]] = t + 1
            self.ended[alive[ends]] = True
            running &= ~ends
            count = int(running.sum())
            if count == 0 or t + 1 == self.limit:
                break
            if count < KEEP * len(alive):
                order = cache.keep(running)
                alive, token, positions, running = alive[order], token[order], positions[order], running[order]
            logits = forward(self.weights, token[:, None], positions[:, None], cache)
            positions = positions + 1
        widest = int(self.lengths.max())
        return Drawn(
            self.tokens[:, :widest].cpu().numpy(),
            self.logprobs[:, :widest].cpu().numpy(),
            self.lengths.cpu().numpy(),
            self.ended.cpu().numpy(),
        )

    def _read_prompts(self) -> tuple[Cache, Tensor, Tensor]:
        """The prompts in a cache, each read once and then taken n times; logits and next position of every row."""
        import torch

        from plaudit.worlds._forward import Cache, forward

        device = self.weights.device
        lengths = torch.tensor([len(tokens) for tokens in self.prompts], device=device)
        longest = int(lengths.max())
        padded = torch.zeros((len(self.prompts), longest), dtype=torch.long)
        for k, tokens in enumerate(self.prompts):
            padded[k, longest - len(tokens) :] = torch.tensor(tokens)
        cache = Cache(self.weights, lengths, longest + self.limit)
        positions = (torch.arange(longest, device=device)[None] - (longest - lengths)[:, None]).clamp(min=0)
        logits = forward(self.weights, padded.to(device), positions, cache)
        if self.n > 1:
            cache.repeat(self.n)
            logits, lengths = logits.repeat_interleave(self.n, 0), lengths.repeat_interleave(self.n)
        return cache, logits, lengths

    def _choose(self, logits: Tensor, alive: Tensor, t: int) -> Tensor:
        """The next token of each row of the batch, written down with its log-probability."""
        import torch

        if self.temperature == 0:
            logprobs = torch.log_softmax(logits.float(), -1)
            token = logits.argmax(-1)
        else:
            logprobs = torch.log_softmax(logits.float() / self.temperature, -1)
            # The inverse of the distribution function at a uniform number: one number a row, whatever other rows do.
            below = logprobs.double().exp().cumsum(-1)
            token = torch.searchsorted(below, (self.noise[alive, t] * below[:, -1])[:, None], right=True)[:, 0]
            token = token.clamp(max=logits.shape[-1] - 1)
        self.tokens[alive, t] = token
        self.logprobs[alive, t] = logprobs.gather(1, token[:, None])[:, 0]
        return token


def _joined(blocks: list[Drawn]) -> Drawn:
    if not blocks:
        none = np.empty(0, np.int64)
        return Drawn(none.reshape(0, 0), np.empty((0, 0), np.float32), none, none.astype(bool))
    widest = max(block.tokens.shape[1] for block in blocks)

    def column(name: str) -> NDArray[Any]:
        arrays = [getattr(block, name) for block in blocks]
        return np.concatenate([np.pad(a, ((0, 0), (0, widest - a.shape[1]))) if a.ndim == 2 else a for a in arrays])

    return Drawn(*(column(name) for name in ("tokens", "logprobs", "lengths", "ended")))
