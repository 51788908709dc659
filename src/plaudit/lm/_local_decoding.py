"""Drawing completions from any transformers causal model: one cache for all rows, seeded draws, rows that end leave."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plaudit.lm._errors import DeadlinePassed
from plaudit.lm._local_network import Network

if TYPE_CHECKING:
    from torch import Tensor

Tokens = NDArray[np.int64]

ROWS = 256
"""Completions drawn side by side at most."""
CACHE_TOKENS = 1 << 18
NOISE = 1 << 24
"""Random numbers held at once."""
KEEP = 0.75
"""Share of running rows in the batch below which the ended ones are dropped."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How completions are drawn.

    Fields:
        temperature: 0 = greedy.
        top_p: nucleus mass.
        max_tokens: most tokens of one completion.
        ends: token ids that end one.
        stop: strings that end one.
        seed: None = different at every call.
        deadline: instant of time.monotonic(); None = none.
        cancelled: asked between tokens.
    """

    temperature: float
    top_p: float
    max_tokens: int
    ends: frozenset[int]
    stop: tuple[str, ...] = ()
    seed: int | None = None
    deadline: float | None = None
    cancelled: Callable[[], bool] | None = None

    def check_time(self, drawn: int) -> None:
        """Raise DeadlinePassed when there is no time left, or nobody waits any more."""
        if self.cancelled is not None and self.cancelled():
            raise DeadlinePassed(f"the caller gave up after {drawn} tokens of each completion")
        if self.deadline is not None and time.monotonic() >= self.deadline:
            raise DeadlinePassed(f"the deadline passed after {drawn} tokens of each completion")


@dataclass(frozen=True, slots=True)
class DrawnRow:
    """One completion: its tokens with the end token, their log-probabilities, and whether it ended or was cut."""

    tokens: Tokens
    logprobs: NDArray[np.float32]
    ended: bool


def draw_rows(
    network: Network, prompts: Sequence[Tokens], n: int, plan: Plan, decode: Callable[[list[Tokens]], list[str]]
) -> list[DrawnRow]:
    """n completions of each prompt; row ``k * n + j`` is completion j of prompt k.

    A completion depends on the seed, `max_tokens` and its place, not on what is drawn beside it: its random numbers are drawn
    for all rows in their order, on the CPU, as the worlds' sampler does.

    Args:
        decode: texts of lists of token ids; used for stop strings.
    """
    import torch

    generator = torch.Generator()
    if plan.seed is None:
        generator.seed()
    else:
        generator.manual_seed(plan.seed)
    found: list[DrawnRow | None] = [None] * (len(prompts) * n)
    window = max(1, NOISE // (plan.max_tokens * n))
    with network.reading():
        for first in range(0, len(prompts), window):
            some = range(first, min(first + window, len(prompts)))
            noise = None
            if plan.temperature > 0:
                noise = torch.rand((len(some) * n, plan.max_tokens), generator=generator, dtype=torch.float64)
            for block in _blocks(network, prompts, some, n, plan.max_tokens):
                rows = np.concatenate([np.arange(k * n, (k + 1) * n) for k in block])
                part = None if noise is None else noise[torch.from_numpy(rows - first * n)]
                drawn = _Decoding(network, [prompts[k] for k in block], n, plan, part, decode).run()
                for row, completion in zip(rows, drawn, strict=True):
                    found[row] = completion
    return [row for row in found if row is not None]


def _blocks(network: Network, prompts: Sequence[Tokens], some: range, n: int, limit: int) -> Iterator[list[int]]:
    """Prompts drawn from together, the longest first; of exactly one length for a model without a cache."""
    order = sorted(some, key=lambda k: (-len(prompts[k]), k))
    block: list[int] = []
    for k in order:
        longest = len(prompts[block[0]]) if block else len(prompts[k])
        most = max(1, min(ROWS, CACHE_TOKENS // (longest + limit)) // n)
        if block and (len(block) >= most or (not network.keeps_cache and len(prompts[k]) != longest)):
            yield block
            block = []
        block.append(k)
    if block:
        yield block


class _Decoding:
    """The state of one block of rows while it is decoded."""

    def __init__(
        self,
        network: Network,
        prompts: list[Tokens],
        n: int,
        plan: Plan,
        noise: Tensor | None,
        decode: Callable[[list[Tokens]], list[str]],
    ) -> None:
        import torch

        self.network, self.prompts, self.n, self.plan, self.decode = network, prompts, n, plan, decode
        device = network.device
        self.noise = None if noise is None else noise.to(device)
        lengths = np.repeat([len(prompt) for prompt in prompts], n)
        context = network.context
        room = np.full(len(lengths), plan.max_tokens) if context is None else np.minimum(plan.max_tokens, context - lengths)
        self.room = torch.from_numpy(room).to(device)
        self.tokens = torch.zeros((len(lengths), int(room.max())), dtype=torch.long, device=device)
        self.logprobs = torch.zeros(self.tokens.shape, dtype=torch.float32, device=device)
        self.lengths = self.room.clone()
        self.ended = torch.zeros(len(lengths), dtype=torch.bool, device=device)
        self.end_tokens = torch.tensor(sorted(plan.ends), dtype=torch.long, device=device)
        # A stop string of L characters lies in the last 4 L tokens: no token writes less than a byte.
        self.tail = 4 * max(map(len, plan.stop), default=0) + 2

    def run(self) -> list[DrawnRow]:
        import torch

        text = _Text(self.network, self.prompts, self.n)
        logits = text.read_prompts()
        alive = torch.arange(len(self.tokens), device=logits.device)
        running = torch.ones_like(alive, dtype=torch.bool)
        for t in range(self.tokens.shape[1]):
            self.plan.check_time(t)
            token = self._choose(logits, alive, t)
            ends = running & torch.isin(token, self.end_tokens)
            if self.plan.stop:
                ends |= running & self._stopped(alive, running & ~ends, t)
            self.lengths[alive[ends]] = t + 1
            self.ended[alive[ends]] = True
            running &= ~ends & (self.room[alive] > t + 1)
            count = int(running.sum())
            if count == 0:
                break
            if count < KEEP * len(alive):
                text.keep(running)
                alive, token, running = alive[running], token[running], running[running]
            logits = text.read(token)
        lengths, ended = self.lengths.cpu().numpy(), self.ended.cpu().numpy()
        tokens, logprobs = self.tokens.cpu().numpy(), self.logprobs.cpu().numpy()
        return [
            DrawnRow(tokens[k, :length].copy(), logprobs[k, :length].copy(), bool(ended[k])) for k, length in enumerate(lengths)
        ]

    def _choose(self, logits: Tensor, alive: Tensor, t: int) -> Tensor:
        """The next token of each row, written down with its log-probability under the distribution it was drawn from."""
        import torch

        if self.noise is None:
            logprobs = torch.log_softmax(logits, -1)
            token = logits.argmax(-1)
        else:
            logprobs = torch.log_softmax(logits / self.plan.temperature, -1)
            if self.plan.top_p < 1:
                logprobs = nucleus(logprobs, self.plan.top_p)
            # The inverse of the distribution function at a uniform number: one number a row, whatever other rows do.
            below = logprobs.double().exp().cumsum(-1)
            token = torch.searchsorted(below, (self.noise[alive, t] * below[:, -1])[:, None], right=True)[:, 0]
            token = token.clamp(max=logits.shape[-1] - 1)
        self.tokens[alive, t] = token
        self.logprobs[alive, t] = logprobs.gather(1, token[:, None])[:, 0]
        return token

    def _stopped(self, alive: Tensor, running: Tensor, t: int) -> Tensor:
        """Which rows of the batch have a stop string in their text now."""
        import torch

        stopped = np.zeros(len(alive), bool)
        places = running.nonzero()[:, 0].cpu().numpy()
        written = self.tokens[alive[running]][:, : t + 1].cpu().numpy()
        tails = self.decode(list(written[:, -self.tail :]))
        near = [k for k, text in enumerate(tails) if first_stop(text, self.plan.stop) is not None]
        # Token by token a tail may decode to other characters at its beginning: the whole text decides.
        for k, text in zip(near, self.decode([written[k] for k in near]), strict=True):
            stopped[places[k]] = first_stop(text, self.plan.stop) is not None
        return torch.from_numpy(stopped).to(alive.device)


class _Text:
    """What the rows of a block have said so far, as the model needs it to go on: a cache, or all tokens again."""

    def __init__(self, network: Network, prompts: list[Tokens], n: int) -> None:
        import torch

        self.network, self.n = network, n
        longest = max(map(len, prompts))
        tokens = np.stack([np.pad(prompt, (longest - len(prompt), 0), mode="edge") for prompt in prompts])
        self.tokens = torch.from_numpy(tokens).to(network.device)
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=network.device)
        self.mask = (torch.arange(longest, device=network.device)[None] >= (longest - lengths)[:, None]).long()
        self.positions = lengths
        self.cache: Any = None

    def read_prompts(self) -> Tensor:
        """Logits (rows, vocabulary) behind the prompts, each read once and then taken n times."""
        positions = (self.mask.cumsum(-1) - 1).clamp(min=0)
        keep = self.network.keeps_cache
        passed = self.network.run(self.tokens, positions=positions, mask=self.mask, keep_cache=keep)
        logits = self.network.logits(passed.states[:, -1])
        self.cache = passed.cache
        if self.n > 1:
            if keep:
                self.cache.batch_repeat_interleave(self.n)
            for name in ("mask", "positions", "tokens"):
                setattr(self, name, getattr(self, name).repeat_interleave(self.n, 0))
            logits = logits.repeat_interleave(self.n, 0)
        return logits

    def read(self, token: Tensor) -> Tensor:
        """Logits behind one more token of each row."""
        import torch

        self.mask = torch.cat([self.mask, torch.ones_like(token)[:, None]], 1)
        if self.cache is None:
            self.tokens = torch.cat([self.tokens, token[:, None]], 1)
            passed = self.network.run(self.tokens, mask=self.mask)
        else:
            passed = self.network.run(
                token[:, None], positions=self.positions[:, None], mask=self.mask, cache=self.cache, keep_cache=True
            )
            self.cache = passed.cache
        self.positions = self.positions + 1
        return self.network.logits(passed.states[:, -1])

    def keep(self, running: Tensor) -> None:
        """Drop the rows that are not running."""
        if self.cache is None:
            self.tokens = self.tokens[running]
        else:
            self.cache.batch_select_indices(running.nonzero()[:, 0])
        self.mask, self.positions = self.mask[running], self.positions[running]


def nucleus(logprobs: Tensor, top_p: float) -> Tensor:
    """The distribution (m, vocabulary) cut to the fewest likeliest tokens that hold `top_p`, and scaled up to one.

    >>> import torch
    >>> [round(share, 3) for share in nucleus(torch.tensor([[0.5, 0.3, 0.2]]).log(), 0.7).exp().tolist()[0]]
    [0.625, 0.375, 0.0]
    """
    import torch

    ordered, order = logprobs.sort(dim=-1, descending=True, stable=True)
    share = ordered.double().exp()
    outside = torch.zeros_like(logprobs, dtype=torch.bool).scatter(-1, order, share.cumsum(-1) - share >= top_p)
    return torch.log_softmax(logprobs.masked_fill(outside, float("-inf")), -1)


def first_stop(text: str, stop: Sequence[str]) -> int | None:
    """Where the first of the stop strings begins in a text; None = none is in it.

    >>> first_stop("a\\n\\nb END", ["END", "\\n\\n"])
    1
    """
    return min((found for string in stop if (found := text.find(string)) >= 0), default=None)
