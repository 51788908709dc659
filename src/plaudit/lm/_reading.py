"""What a local model says of given continuations: log-probabilities, entropies, hidden states, attention."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import ModelError, SpecError
from plaudit.lm._local_network import Network
from plaudit.lm._shared_prompt import Demand, Job, Part, Sharing, batches, parts
from plaudit.types import Reading

if TYPE_CHECKING:
    from torch import Tensor

Tokens = NDArray[np.int64]
TokenIds = Sequence[Sequence[Sequence[int] | NDArray[np.integer[Any]]]]

HEAD_ELEMENTS = 1 << 23
"""Logits in float32 that are held at once."""
WHOLE_ELEMENTS = 1 << 27
"""Logits of a batch where the model gives them all."""
_STATISTICS = ("logprob", "entropy", "logsumexp")


@dataclass(frozen=True)
class Wanted:
    """What `read` was asked for.

    Fields:
        statistics: of logprob, entropy and logsumexp.
        layers: hidden layers as they were asked for, with their number counted from the embedding.
    """

    statistics: frozenset[str]
    layers: tuple[tuple[int, int], ...]
    attention: bool

    def demand(self, network: Network) -> Demand:
        """What the forward passes must give."""
        heads = getattr(network.config, "num_attention_heads", None)
        maps = network.layers * (heads if isinstance(heads, int) else 1)
        return Demand(tuple(sorted({number for _, number in self.layers})), maps if self.attention else 0)


def wanted(what: Collection[str], layers: int) -> Wanted:
    """The request ``what`` of a model with so many layers.

    Raises SpecError for a name that is not known and a layer that the model does not have.

    >>> wanted({"logprob", "hidden:-1"}, 12).layers
    ((-1, 12),)
    """
    names = {what} if isinstance(what, str) else set(what)
    found: list[tuple[int, int]] = []
    for name in sorted(names - {*_STATISTICS, "attention"}):
        kind, _, number = name.partition(":")
        if kind != "hidden" or not number.removeprefix("-").isdecimal():
            raise SpecError(f"what names {name!r}: expected 'logprob', 'entropy', 'logsumexp', 'hidden:LAYER' or 'attention'")
        layer = int(number)
        if not -(layers + 1) <= layer <= layers:
            raise SpecError(f"what names {name!r}: the model has layers 0 (the embedding) to {layers}, or -1 for the last")
        found.append((layer, layer if layer >= 0 else layers + 1 + layer))
    return Wanted(frozenset(names & set(_STATISTICS)), tuple(found), "attention" in names)


class ContinuationReader:
    """Reads continuations with a network, each prompt computed once for all of its continuations.

    Fields:
        network: the model.
        batch_tokens: tokens of one forward pass; bounds the memory. A longer prompt is run alone.
    """

    def __init__(self, network: Network, batch_tokens: int | None = None) -> None:
        self.network = network
        self.batch_tokens = batch_tokens
        self._sharing: Sharing | None = None

    @property
    def sharing(self) -> Sharing:
        """How this model's continuations share their prompt; tried on a few tokens the first time, and told when they cannot."""
        if self._sharing is None:
            with self.network.reading():
                self._sharing = _tried_sharing(self.network)
            if self._sharing == "none":
                warnings.warn(
                    f"{self.network.name} gives other numbers behind a cached prompt, or keeps no cache that rows can share: "
                    "every continuation is read with its own copy of the prompt (correct, but slower)",
                    stacklevel=3,
                )
        return self._sharing

    def read(self, prompts: Sequence[Tokens], token_ids: TokenIds, what: Collection[str]) -> list[list[Reading]]:
        """The readings of each prompt's continuations; see `LocalModel.read`."""
        request = wanted(what, self.network.layers)
        groups = _checked(prompts, token_ids, self.network)
        readings: list[list[Reading | None]] = [[None] * len(group) for group in groups]
        jobs, homes = _jobs(prompts, groups)
        with self.network.reading(request.attention):
            budget, demand = self._budget(), request.demand(self.network)
            for batch, way in self._plan(jobs, request, budget):
                some = [jobs[k] for k in batch]
                for part in parts(self.network, some, way, demand, budget):
                    for place, reading in zip(part.places, _readings(self.network, part, some, request), strict=True):
                        prompt, continuation = homes[batch[place.job]][place.continuation]
                        readings[prompt][continuation] = reading
        return [
            [self._nothing(request, len(prompt)) if reading is None else reading for reading in row]
            for prompt, row in zip(prompts, readings, strict=True)
        ]

    def _plan(self, jobs: Sequence[Job], request: Wanted, budget: int) -> Iterator[tuple[list[int], Sharing]]:
        """Which jobs are run together, and how each of them shares its prompt."""
        ways = [_sharing_for(self.network, self.sharing, job, request) for job in jobs]
        for way in sorted(set(ways)):
            chosen = [k for k, own in enumerate(ways) if own == way]
            for batch in batches([jobs[k] for k in chosen], budget, alike=way == "expanded"):
                yield [chosen[k] for k in batch], way

    def _budget(self) -> int:
        budget = self.batch_tokens or (4096 if self.network.device.type == "cpu" else 16384)
        if self.network.head_is_apart:
            return budget
        return max(1, min(budget, WHOLE_ELEMENTS // self.network.vocabulary))

    def _nothing(self, request: Wanted, prompt: int) -> Reading:
        """The reading of an empty continuation."""
        config, none = self.network.config, np.empty(0, np.float32)
        width = int(getattr(config, "hidden_size", 0))
        hidden = {asked: np.empty((0, width), np.float32) for asked, _ in request.layers}
        heads = int(getattr(config, "num_attention_heads", 0))
        attention = np.empty((self.network.layers, heads, 0, prompt), np.float32) if request.attention else None
        statistics: Any = dict.fromkeys(request.statistics, none)
        return Reading(np.empty(0, np.int64), hidden=hidden, attention=attention, **statistics)


def _checked(prompts: Sequence[Tokens], token_ids: TokenIds, network: Network) -> list[list[Tokens]]:
    """The continuations as arrays; raises ModelError that names the first one that cannot be read."""
    if len(token_ids) != len(prompts):
        raise ModelError(f"{len(prompts)} prompts and {len(token_ids)} lists of continuations: expected as many of both")
    groups = []
    for p, group in enumerate(token_ids):
        rows = []
        for g, ids in enumerate(group):
            name = f"prompt {p}, continuation {g}"
            row = np.asarray(ids)
            if row.ndim != 1 or (row.size and row.dtype.kind not in "iu"):
                raise ModelError(f"{name}: expected a list of token ids, whole numbers")
            row = row.astype(np.int64)
            outside = row[(row < 0) | (row >= network.vocabulary)]
            if outside.size:
                raise ModelError(f"{name}: token id {outside[0]} is outside the model's vocabulary of {network.vocabulary:,}")
            if network.context is not None and len(prompts[p]) + len(row) > network.context:
                raise ModelError(
                    f"{name}: {len(prompts[p]):,} + {len(row):,} tokens are more than the model's context of {network.context:,}"
                )
            rows.append(row)
        groups.append(rows)
    return groups


def _jobs(prompts: Sequence[Tokens], groups: list[list[Tokens]]) -> tuple[list[Job], list[list[tuple[int, int]]]]:
    """One job for each distinct prompt, with the prompt and number that each of its continuations came from."""
    found: dict[bytes, tuple[Tokens, list[Tokens], list[tuple[int, int]]]] = {}
    for p, (prompt, group) in enumerate(zip(prompts, groups, strict=True)):
        for g, row in enumerate(group):
            if len(row):
                _, rows, homes = found.setdefault(prompt.tobytes(), (prompt, [], []))
                rows.append(row)
                homes.append((p, g))
    return [Job(prompt, rows) for prompt, rows, _ in found.values()], [homes for _, _, homes in found.values()]


def _sharing_for(network: Network, sharing: Sharing, job: Job, request: Wanted) -> Sharing:
    """How one job is run: a mask of our own, and attention weights over the whole text, go with models that see all of it."""
    longest = len(job.prompt) + max(map(len, job.continuations))
    if network.window is not None and longest > network.window and sharing == "packed":
        sharing = "expanded"
    # Expanded rows need prompts of one length: a prompt with nobody to share it with is better off in a mixed batch.
    return "none" if sharing == "expanded" and (request.attention or len(job.continuations) == 1) else sharing


def _readings(network: Network, part: Part, jobs: Sequence[Job], request: Wanted) -> list[Reading]:
    """The readings of a part's continuations, in its order."""
    import torch

    rows = [jobs[place.job].continuations[place.continuation] for place in part.places]
    ends = np.cumsum([len(row) for row in rows])[:-1]
    columns: dict[str, Any] = {}
    if request.statistics:
        device = part.states.device
        predictors = torch.from_numpy(np.concatenate([place.predictors for place in part.places])).to(device)
        targets = torch.from_numpy(np.concatenate(rows)).to(device)
        for name, values in token_statistics(network, part.states, predictors, targets, request.statistics).items():
            if np.isnan(values).any():
                raise ModelError(f"{network.name} gives NaN: its weights or its precision are broken")
            columns[name] = np.split(values, ends)
    hidden: dict[int, list[NDArray[np.float32]]] = {}
    for number in sorted({number for _, number in request.layers}):
        assert part.passed is not None
        hidden[number] = _own_states(part.passed.hidden[number], part, rows, ends)
    return [
        Reading(
            row,
            hidden={asked: hidden[number][k] for asked, number in request.layers},
            attention=_attention(part, k, len(jobs[part.places[k].job].prompt), len(row)) if request.attention else None,
            **{name: values[k] for name, values in columns.items()},
        )
        for k, row in enumerate(rows)
    ]


def token_statistics(
    network: Network, states: Tensor, predictors: Tensor, targets: Tensor, names: Collection[str]
) -> dict[str, NDArray[np.float32]]:
    """Statistics (N,) of the distributions that N tokens were drawn from; logits are held for some rows at a time.

    Args:
        states: (m, d). predictors: (N,) rows of it. targets: (N,) the tokens.
    """
    import torch

    found: dict[str, list[Tensor]] = {name: [] for name in names}
    size = max(1, HEAD_ELEMENTS // network.vocabulary)
    for first in range(0, len(targets), size):
        tokens = targets[first : first + size]
        logits = network.logits(states[predictors[first : first + size]])
        total = logits.logsumexp(-1)
        if "logprob" in found:
            found["logprob"].append(logits.gather(-1, tokens.to(logits.device)[:, None])[:, 0] - total)
        if "entropy" in found:
            # A logit of -inf has no share; times its weight of 0 it would be NaN.
            weights = (logits - total[:, None]).exp_()
            found["entropy"].append(total - weights.mul_(logits.clamp_(min=torch.finfo(logits.dtype).min)).sum(-1))
        if "logsumexp" in found:
            found["logsumexp"].append(total)
    return {name: torch.cat(values).cpu().numpy() for name, values in found.items()}


def _own_states(states: Tensor, part: Part, rows: list[Tokens], ends: NDArray[np.intp]) -> list[NDArray[np.float32]]:
    """The states (rows, s, d) at the continuations' own tokens, (T, d) of each."""
    import torch

    width = states.shape[1]
    slots = [
        np.arange(place.row * width + place.start, place.row * width + place.start + len(row))
        for place, row in zip(part.places, rows, strict=True)
    ]
    chosen = torch.from_numpy(np.concatenate(slots)).to(states.device)
    return np.split(states.flatten(0, 1)[chosen].float().cpu().numpy(), ends)


def _attention(part: Part, k: int, prompt: int, length: int) -> NDArray[np.float32]:
    """(layers, heads, T, P + T) weights of one continuation that has its row for itself."""
    import torch

    assert part.passed is not None
    place = part.places[k]
    slots = np.arange(part.prefix + place.start + length)
    slots = slots[(slots < prompt) | (slots >= part.prefix + place.start)]
    rows = slice(place.start, place.start + length)
    layers = [weights[place.row, :, rows][..., torch.from_numpy(slots).to(weights.device)] for weights in part.passed.attentions]
    return torch.stack([weights.float().cpu() for weights in layers]).numpy()


def _tried_sharing(network: Network) -> Sharing:
    """The quickest way of sharing that gives this model's own numbers, tried on two short prompts of three continuations."""
    import torch

    def tokens(*shape: int) -> Tokens:
        count = int(np.prod(shape))
        return (np.arange(3, 3 + count) * 7919 % network.vocabulary).astype(np.int64).reshape(shape)

    jobs = [Job(tokens(6)[k:], [tokens(4 + k) + 0, tokens(5)[::-1].copy(), tokens(3)]) for k in (0, 1)]

    def states(sharing: Sharing, some: Sequence[Job]) -> Tensor:
        found = list(parts(network, some, sharing, Demand(), 4096))
        at = {(p.job, p.continuation): part.states[torch.from_numpy(p.predictors)] for part in found for p in part.places}
        return torch.cat([at[key] for key in sorted(at)]).float()

    if not network.keeps_cache:
        return "none"
    tolerance = 1e-3 if network.dtype == torch.float32 else 3e-2
    for sharing in ("packed", "expanded"):
        if sharing == "packed" and not (network.takes_positions and network.takes_bias):
            continue
        some = jobs if sharing == "packed" else jobs[:1]
        try:
            expected, got = states("none", some), states(sharing, some)
        except Exception:  # an architecture may refuse in any way what it cannot do: then it is not shared
            continue
        if bool((got - expected).norm() <= tolerance * expected.norm()):
            return sharing
    return "none"
