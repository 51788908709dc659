"""One forward pass for a prompt, and its continuations behind it: packed side by side, each in a row, or without sharing."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from plaudit.lm._local_network import Network, Pass, attention_bias

if TYPE_CHECKING:
    from torch import Tensor

Tokens = NDArray[np.int64]
Sharing = Literal["packed", "expanded", "none"]
"""How continuations share their prompt: several in one row behind it, one in each row, or not at all."""

PACK = 384
"""Tokens of a row of packed continuations, about."""
MASK_ELEMENTS = 1 << 25
MAP_ELEMENTS = 1 << 27
"""Numbers of all attention maps of one pass."""


@dataclass(frozen=True, slots=True)
class Job:
    """One prompt with its continuations; neither is empty."""

    prompt: Tokens
    continuations: Sequence[Tokens]


@dataclass(frozen=True, slots=True)
class Place:
    """Where one continuation stands in a `Part`.

    Fields:
        job, continuation: which it is.
        predictors: (T,) rows of `Part.states` that its tokens were predicted from.
        row, start: of its own tokens in the pass.
    """

    job: int
    continuation: int
    predictors: Tokens
    row: int
    start: int


@dataclass(frozen=True, slots=True)
class Part:
    """Some continuations after a forward pass.

    Fields:
        states: (m, d) states that the head makes logits of.
        passed: the pass that holds the continuations' own tokens; None = they were not needed.
        prefix: slots in the keys of that pass before its own tokens.
    """

    places: list[Place]
    states: Tensor
    passed: Pass | None
    prefix: int


@dataclass(frozen=True, slots=True)
class Demand:
    """What passes must give.

    Fields:
        hidden: layers, 0 = the embedding.
        maps: layers times heads of the attention weights; 0 = they are not asked for.
    """

    hidden: tuple[int, ...] = ()
    maps: int = 0

    @property
    def attention(self) -> bool:
        """Whether attention weights are asked for."""
        return self.maps > 0

    @property
    def own_states(self) -> bool:
        """Whether each continuation's last token has to be run, too: nothing is predicted from it."""
        return bool(self.hidden) or self.attention


def batches(jobs: Sequence[Job], budget: int, alike: bool) -> Iterator[list[int]]:
    """Jobs that are run together: of similar prompt lengths, at most `budget` tokens, or one alone.

    Args:
        alike: prompts of exactly one length only.
    """
    order = sorted(range(len(jobs)), key=lambda k: (-len(jobs[k].prompt), k))
    batch: list[int] = []
    tokens = longest = 0
    for k in order:
        size = sum(map(len, jobs[k].continuations))
        longest = longest or len(jobs[k].prompt)
        full = max((len(batch) + 1) * longest, tokens + size) > budget
        if batch and (full or (alike and len(jobs[k].prompt) != longest)):
            yield batch
            batch, tokens, longest = [], 0, len(jobs[k].prompt)
        batch.append(k)
        tokens += size
    if batch:
        yield batch


def parts(network: Network, jobs: Sequence[Job], sharing: Sharing, demand: Demand, budget: int) -> Iterator[Part]:
    """The forward passes of jobs that are run together; each continuation is in exactly one part.

    Args:
        jobs: prompts of one length when continuations share them "expanded".
        budget: tokens of one pass.
    """
    if sharing == "none":
        yield from _unshared(network, jobs, demand, budget)
        return
    rows = _packs(jobs, demand, 0 if sharing == "expanded" or demand.attention else PACK)
    prompt = _pass_prompts(network, [job.prompt for job in jobs], keep_cache=any(row.length for row in rows))
    for some in _affordable(rows, max(len(job.prompt) for job in jobs), budget, demand.maps):
        yield _pass_packs(network, jobs, some, prompt, sharing, demand)


@dataclass(frozen=True, slots=True)
class _Row:
    """Continuations of one job side by side: numbers of them, where each starts and how many of its tokens are run."""

    job: int
    continuations: tuple[int, ...]
    starts: tuple[int, ...]
    lengths: tuple[int, ...]

    @property
    def length(self) -> int:
        return sum(self.lengths)


@dataclass(frozen=True, slots=True)
class _Prompts:
    """Prompts after their pass: the state of each one's last token (b, d), the cache of all, its slots."""

    states: Tensor
    cache: Any
    slots: int


def _packs(jobs: Sequence[Job], demand: Demand, capacity: int) -> list[_Row]:
    """Continuations put into rows of much the same length, longest rows first.

    Args:
        capacity: tokens that a row should hold; 0 = one continuation in each row.
    """
    less = 0 if demand.own_states else 1
    rows: list[_Row] = []
    for j, job in enumerate(jobs):
        lengths = [len(tokens) - less for tokens in job.continuations]
        count = -(-sum(lengths) // capacity) if capacity else len(lengths)
        packs: list[list[int]] = [[] for _ in range(max(1, min(count, len(lengths))))]
        filled = [(0, r) for r in range(len(packs))]
        # The longest first, each into the emptiest row.
        for k in sorted(range(len(lengths)), key=lambda k: (-lengths[k], k)):
            size, r = heapq.heappop(filled)
            packs[r].append(k)
            heapq.heappush(filled, (size + max(1, lengths[k]), r))
        for pack in packs:
            sizes = [lengths[k] for k in pack]
            rows.append(_Row(j, tuple(pack), tuple(int(start) for start in np.cumsum([0, *sizes[:-1]])), tuple(sizes)))
    return sorted(rows, key=lambda row: -row.length)


def _affordable(rows: list[_Row], prefix: int, budget: int, maps: int) -> Iterator[list[_Row]]:
    """Rows in their order, as many at once as tokens, cache, mask and attention maps may hold."""
    some: list[_Row] = []
    for row in rows:
        longest = some[0].length if some else row.length
        count = len(some) + 1
        keys = prefix + longest
        scores = count * longest * keys
        many = count * longest > budget or count * keys > 4 * budget
        if some and (many or scores > MASK_ELEMENTS or scores * maps > MAP_ELEMENTS):
            yield some
            some = []
        some.append(row)
    if some:
        yield some


def _pass_prompts(network: Network, prompts: Sequence[Tokens], keep_cache: bool) -> _Prompts:
    """Prompts at the left of their rows: what stands behind a shorter one is not seen by it, whatever it is."""
    import torch

    lengths = np.array([len(tokens) for tokens in prompts])
    tokens = torch.from_numpy(_padded(prompts)).to(network.device)
    passed = network.run(tokens, keep_cache=keep_cache)
    last = torch.from_numpy(lengths - 1).to(passed.states.device)
    return _Prompts(passed.states[torch.arange(len(prompts), device=last.device), last], passed.cache, int(lengths.max()))


def _pass_packs(
    network: Network, jobs: Sequence[Job], rows: list[_Row], prompt: _Prompts, sharing: Sharing, demand: Demand
) -> Part:
    """Rows of continuations behind the cached prompts."""
    import torch

    width = max(row.length for row in rows)
    passed = None
    states = prompt.states
    if width:
        tokens, positions, owner = _laid_out(jobs, rows, width)
        sources = np.array([row.job for row in rows])
        lengths = np.array([len(jobs[row.job].prompt) for row in rows])
        passed = network.run(
            torch.from_numpy(tokens).to(network.device),
            positions=torch.from_numpy(positions).to(network.device),
            mask=_mask(network, sharing, lengths, owner, prompt.slots),
            cache=_selected(prompt.cache, sources, len(jobs)),
            hidden=demand.hidden,
            attention=demand.attention,
        )
        states = torch.cat([prompt.states, passed.states.flatten(0, 1).to(prompt.states.device)])
    places = [
        Place(row.job, k, _predictors(row.job, len(jobs), r * width + start, len(jobs[row.job].continuations[k])), r, start)
        for r, row in enumerate(rows)
        for k, start in zip(row.continuations, row.starts, strict=True)
    ]
    return Part(places, states, passed, prompt.slots)


def _predictors(job: int, jobs: int, start: int, length: int) -> Tokens:
    """The first token is predicted from its prompt's last state, each other one from the token before it."""
    rows = np.arange(jobs + start - 1, jobs + start - 1 + length)
    rows[0] = job
    return rows


def _laid_out(jobs: Sequence[Job], rows: list[_Row], width: int) -> tuple[Tokens, Tokens, Tokens]:
    """Tokens, positions and the continuation that each slot belongs to (-1 = none), all (rows, width)."""
    tokens = np.zeros((len(rows), width), np.int64)
    positions = np.zeros_like(tokens)
    owner = np.full_like(tokens, -1)
    for r, row in enumerate(rows):
        first = len(jobs[row.job].prompt)
        for k, start, length in zip(row.continuations, row.starts, row.lengths, strict=True):
            tokens[r, start : start + length] = jobs[row.job].continuations[k][:length]
            positions[r, start : start + length] = np.arange(first, first + length)
            owner[r, start : start + length] = k
    return tokens, positions, owner


def _mask(network: Network, sharing: Sharing, lengths: Tokens, owner: Tokens, slots: int) -> Tensor:
    """What each token of a row sees: its row's prompt, and what comes before it in its own continuation."""
    import torch

    rows, width = owner.shape
    if sharing == "expanded":  # padding stands at the right: causal is enough
        return torch.ones((rows, slots + width), dtype=torch.long, device=network.device)
    own = torch.from_numpy(owner).to(network.device)
    seen = torch.empty((rows, width, slots + width), dtype=torch.bool, device=network.device)
    seen[:, :, slots:] = (own[:, :, None] == own[:, None, :]).tril_()
    prefix = torch.arange(slots, device=network.device) < torch.from_numpy(lengths).to(network.device)[:, None]
    seen[:, :, :slots] = prefix[:, None]
    return attention_bias(seen[:, None], network.dtype)


def _selected(cache: Any, sources: Tokens, count: int) -> Any:
    """The cached prompts of these rows; the cache itself stays as it is, for further rows."""
    import torch

    # Layers put new keys behind the old ones into new tensors, so a shallow copy is enough.
    chosen = copy(cache)
    chosen.layers = [copy(layer) for layer in cache.layers]
    if len(sources) != count or bool((sources != np.arange(count)).any()):
        chosen.batch_select_indices(torch.from_numpy(sources).to(cache.layers[0].keys.device))
    return chosen


def _unshared(network: Network, jobs: Sequence[Job], demand: Demand, budget: int) -> Iterator[Part]:
    """Every continuation behind its own copy of the prompt, padded at the right."""
    import torch

    rows = [(j, k) for j, job in enumerate(jobs) for k in range(len(job.continuations))]
    texts = {(j, k): np.concatenate([jobs[j].prompt, jobs[j].continuations[k]]) for j, k in rows}
    rows.sort(key=lambda row: -len(texts[row]))
    while rows:
        width = len(texts[rows[0]])
        some = rows[: max(1, min(budget // width, MAP_ELEMENTS // (width * width * max(1, demand.maps))))]
        rows = rows[len(some) :]
        tokens = torch.from_numpy(_padded([texts[row] for row in some])).to(network.device)
        mask = torch.arange(width)[None] < torch.tensor([[len(texts[row])] for row in some])
        passed = network.run(tokens, mask=mask.long().to(network.device), hidden=demand.hidden, attention=demand.attention)
        places = []
        for r, (j, k) in enumerate(some):
            start, length = len(jobs[j].prompt), len(jobs[j].continuations[k])
            predictors = np.arange(r * width + start - 1, r * width + start - 1 + length)
            places.append(Place(j, k, predictors, r, start))
        yield Part(places, passed.states.flatten(0, 1), passed, 0)


def _padded(rows: Sequence[Tokens]) -> Tokens:
    """(n, longest) with each row's last token repeated at its right."""
    longest = max(map(len, rows))
    return np.stack([np.pad(row, (0, longest - len(row)), mode="edge") for row in rows])
