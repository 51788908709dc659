"""What plaudit asks of a language model and of an encoder; `plaudit.lm` holds the back ends."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from plaudit.types._display import Displayed
from plaudit.types._sample import Message
from plaudit.types._verdict import Cost

Conversation = str | Sequence[Message]

Ability = Literal["generate", "read", "schema", "logprobs"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw completions.

    Fields:
        temperature: 0 = greedy.
        top_p: nucleus mass in (0, 1].
        max_tokens: most tokens of one completion; None = the model's own limit.
        stop: strings that end a completion and are left out of it.
        seed: None = the back end's own randomness.
        schema: a JSON schema that the reply must satisfy; None = free text.
        logprobs: ask for the log-probabilities of the sampled tokens.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    schema: Mapping[str, Any] | None = None
    logprobs: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Completion(Displayed):
    """One drawn completion.

    Fields:
        text: the completion without its thinking part.
        reasoning: the thinking part where the back end separates it; None = it does not.
        finish: ``"stop"``, ``"length"`` (cut at max_tokens) or ``"error"``; None = not said.
        tokens, logprobs: (T,) where the back end gives them, else None.
        cost: what this completion cost.
    """

    text: str
    reasoning: str | None = None
    finish: Literal["stop", "length", "tool", "error"] | None = None
    tokens: NDArray[np.integer[Any]] | None = None
    logprobs: NDArray[np.floating[Any]] | None = None
    cost: Cost = field(default_factory=Cost)


@runtime_checkable
class LanguageModel(Protocol):
    """A model that writes completions.

    `address` is the string that names it everywhere (``openai:MODEL``); `version` is what its outputs depend on, None
    when that is not known (its results are then never cached); `abilities` says which of the calls it can answer.
    """

    @property
    def address(self) -> str: ...

    @property
    def version(self) -> str | None: ...

    @property
    def abilities(self) -> frozenset[Ability]: ...

    def generate(
        self,
        conversations: Sequence[Conversation],
        n: int = 1,
        sampling: Sampling | None = None,
        *,
        deadline: float | None = None,
    ) -> list[list[Completion]]:
        """Draw n completions for each conversation; blocks. `deadline` is an instant of time.monotonic(); None = none."""

    async def agenerate(
        self,
        conversations: Sequence[Conversation],
        n: int = 1,
        sampling: Sampling | None = None,
        *,
        deadline: float | None = None,
    ) -> list[list[Completion]]:
        """Draw n completions for each conversation; `deadline` as above."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What a model says of one continuation of T tokens; what was not asked for is None or missing.

    Fields:
        tokens: (T,) int64 ids of the continuation.
        logprob: (T,) float32 log-probability of each token given all before it.
        entropy: (T,) float32 entropy, in nats, of the distribution that each token was drawn from.
        logsumexp: (T,) float32 log of the sum of the exponentiated logits of that distribution.
        hidden: by layer, (T, d) float32: the state at each token of the continuation (its own position, not the one before);
            layer 0 is the embedding, the last one is behind the final norm.
        attention: (layers, heads, T, P + T) float32 weights of each token on the P tokens of the prompt and on the continuation.
    """

    tokens: NDArray[np.int64]
    logprob: NDArray[np.float32] | None = None
    entropy: NDArray[np.float32] | None = None
    logsumexp: NDArray[np.float32] | None = None
    hidden: Mapping[int, NDArray[np.float32]] = field(default_factory=dict)
    attention: NDArray[np.float32] | None = None


@runtime_checkable
class Reader(Protocol):
    """A language model that can score given continuations: the ability ``"read"``."""

    @property
    def address(self) -> str: ...

    @property
    def version(self) -> str | None: ...

    def tokenize(self, prompts: Sequence[Conversation], responses: Sequence[str]) -> list[NDArray[np.int64]]:
        """The token ids of n responses as continuations of their n prompts, by the back end's boundary rule."""

    def read(
        self,
        prompts: Sequence[Conversation],
        token_ids: Sequence[Sequence[Sequence[int] | NDArray[np.integer[Any]]]],
        what: Collection[str] = ("logprob",),
    ) -> list[list[Reading]]:
        """For each of n prompts, a reading of each of its G continuations (token ids); the prompt is computed once.

        what: of ``"logprob"``, ``"entropy"``, ``"logsumexp"``, ``"hidden:LAYER"`` (-1 = the last), ``"attention"``.
        """


@runtime_checkable
class Encoder(Protocol):
    """A model that turns texts into vectors: `encode(texts)` -> (n, d) float32."""

    @property
    def address(self) -> str: ...

    @property
    def version(self) -> str | None: ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]: ...
