"""Language models that run in this process: any causal model of transformers, also the policy in training."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import ModelError
from plaudit.lm._errors import ModelRejected
from plaudit.lm._local_decoding import DrawnRow, Plan, draw_rows, first_stop
from plaudit.lm._local_network import Network
from plaudit.lm._reading import ContinuationReader, TokenIds
from plaudit.lm._shared_prompt import Sharing
from plaudit.lm._template import prompt_tokens, response_tokens
from plaudit.types import Ability, Completion, Conversation, Cost, Reading, Sampling

Tokens = NDArray[np.int64]

MAX_TOKENS = 1024
"""Tokens of one completion where neither the sampling nor the model says how many."""


class LocalModel:
    """A causal model of transformers with its tokenizer, as a language model that writes (`generate`) and scores (`read`).

    The model's weights are read at every call, so it may be in training; during a call it is in evaluation mode and nobody
    else of this room uses it, afterwards it is as it was. CPU and GPU run the same code: the model stays where it lies.

    **Prompts.** A text is taken as it is, with the beginning token that its tokenizer puts before texts. Messages go through
    the chat template with the assistant's turn opened; a last message of the assistant is gone on with. A prompt is never cut.

    **Continuations.** A response is tokenised once, alone, without a beginning or an end token; its tokens stand behind the
    prompt's. The name of a special token in it is plain text.

    **Completions.** They end at a token of `ends`, at a stop string, or are cut at `max_tokens` and at the end of the context:
    `finish` is "stop" for the first two, else "length". `tokens` and `logprobs` hold the end token and the stop string, `text`
    does not, and special tokens are left out of it. `logprobs` are under the distribution that was drawn from: after
    temperature and top_p; for greedy, under the model's own. `reasoning` is None: a thinking part stays in the text. Prompts
    of one batch are padded at the left, with positions that count a row's own tokens. The same seed gives the same
    completions, whatever is drawn beside them, up to rounding.

    Args:
        model: a causal model of transformers, also wrapped by peft or data-parallel training.
        tokenizer: its tokenizer.
        address: the name it is reached by; ``"policy:"`` for the trainer's model in `Context.models`.
        version: what its outputs depend on; None = not known, and results are never cached. May be set again while it trains.
        max_tokens: of a completion when the sampling does not say.
        batch_tokens: tokens of one forward pass of `read`; bounds the memory. None = 4,096 on a CPU, 16,384 on a GPU.

    Raises ModelError for something that is no causal model, no tokenizer, or a tokenizer with more tokens than the model.

    >>> from plaudit.worlds import load_policy
    >>> policy = load_policy("arithmetic-strong")
    >>> model = LocalModel(policy.model, policy.tokenizer)
    >>> [[completion]] = model.generate(["7+5=?\\n"], sampling=Sampling(temperature=0.0))
    >>> completion.text, completion.finish
    ('7+5=12\\n#### 12', 'stop')
    >>> [[right, wrong]] = model.read(["7+5=?\\n"], [model.tokenize(["7+5=?\\n"] * 2, ["7+5=12", "7+5=13"])])
    >>> bool(right.logprob.sum() > wrong.logprob.sum())
    True
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        address: str = "policy:",
        version: str | None = None,
        max_tokens: int = MAX_TOKENS,
        batch_tokens: int | None = None,
    ) -> None:
        if max_tokens < 1 or (batch_tokens is not None and batch_tokens < 1):
            raise ModelError(f"max_tokens={max_tokens}, batch_tokens={batch_tokens}: expected at least 1")
        self.network = Network(model)
        self.tokenizer = tokenizer
        self.address = address
        self.version = version
        self.max_tokens = max_tokens
        self._reader = ContinuationReader(self.network, batch_tokens)
        self._origin: tuple[Callable[[str], LocalModel], tuple[str]] | None = None
        _check_tokenizer(tokenizer, self.network, address)

    @property
    def model(self) -> Any:
        """The live model, without wrappers of training."""
        return self.network.model

    @property
    def abilities(self) -> frozenset[Ability]:
        """``generate``, ``logprobs`` and ``read``."""
        return frozenset(("generate", "logprobs", "read"))

    @property
    def sharing(self) -> Sharing:
        """How `read` shares a prompt among its continuations with this architecture: "packed", "expanded" or "none"."""
        return self._reader.sharing

    @property
    def ends(self) -> frozenset[int]:
        """Ids of the tokens that end a completion: those of the generation configuration and the tokenizer's end token."""
        configured = getattr(getattr(self.model, "generation_config", None), "eos_token_id", None)
        ids = [configured] if isinstance(configured, int) else list(configured or ())
        own = self.tokenizer.eos_token_id
        return frozenset(ids if own is None else [*ids, own])

    def generate(
        self,
        conversations: Sequence[Conversation],
        n: int = 1,
        sampling: Sampling | None = None,
        *,
        deadline: float | None = None,
    ) -> list[list[Completion]]:
        """Draw n completions for each conversation; see the class for the rules.

        `deadline` is an instant of time.monotonic(), looked at before each token; None = none. The first completion of a prompt
        carries the prompt's tokens in its cost.

        Raises ModelRejected that names a prompt which leaves no room in the context, ModelError for an empty one and for a
        sampling this back end cannot do, DeadlinePassed.
        """
        return self._generate(conversations, n, sampling, deadline, None)

    async def agenerate(
        self,
        conversations: Sequence[Conversation],
        n: int = 1,
        sampling: Sampling | None = None,
        *,
        deadline: float | None = None,
    ) -> list[list[Completion]]:
        """As `generate`, in a thread of its own; when the awaiting task is cancelled, drawing stops at the next token."""
        given_up = threading.Event()
        try:
            return await asyncio.to_thread(self._generate, conversations, n, sampling, deadline, given_up.is_set)
        finally:
            given_up.set()

    def tokenize(self, prompts: Sequence[Conversation], responses: Sequence[str]) -> list[Tokens]:
        """The token ids of responses as continuations of their prompts: each tokenised once, alone, without special tokens.

        Raises ModelError when there are not as many of both, and for a response that is no text.
        """
        if isinstance(responses, str) or len(prompts) != len(responses):
            raise ModelError(f"{len(prompts)} prompts and {len(responses)} responses: expected two lists of one length")
        with self.network.lock:  # a tokenizer's settings are changed for a call, and it refuses two callers at once
            return response_tokens(self.tokenizer, responses)

    def read(
        self, prompts: Sequence[Conversation], token_ids: TokenIds, what: Collection[str] = ("logprob",)
    ) -> list[list[Reading]]:
        """For each of n prompts, a reading of each of its continuations; a prompt is computed once, equal ones together.

        Args:
            prompts: texts or messages.
            token_ids: for each prompt its continuations' token ids, as `tokenize` gives them; an empty one has a reading of
                no tokens.
            what: of ``"logprob"``, ``"entropy"``, ``"logsumexp"``, ``"hidden:LAYER"`` and ``"attention"``. A layer counts from
                0, the embedding, or from -1, the last; `Reading.hidden` has it under the number given here. Attention weights
                need the model's slow attention and much memory.

        Values are those of the model at temperature 1. Sum log-probabilities in float64: ``logprob.sum(dtype=float)``.

        Raises ModelError that names the prompt and continuation which is longer than the context or has a token outside the
        vocabulary, and when the model gives NaN; SpecError for an unknown name in `what`.
        """
        with self.network.lock:
            tokens = prompt_tokens(self.tokenizer, prompts)
        return self._reader.read(tokens, token_ids, what)

    def __reduce__(self) -> tuple[Any, ...]:
        if self._origin is None:
            raise TypeError(f"{self.address} is a live model: it stays in the process that holds it")
        return self._origin

    def _generate(
        self,
        conversations: Sequence[Conversation],
        n: int,
        sampling: Sampling | None,
        deadline: float | None,
        cancelled: Callable[[], bool] | None,
    ) -> list[list[Completion]]:
        plan = self._plan(n, sampling if sampling is not None else Sampling(), deadline, cancelled)
        with self.network.lock:
            prompts = prompt_tokens(self.tokenizer, conversations)
        context = self.network.context
        for k, prompt in enumerate(prompts):
            if context is not None and len(prompt) >= context:
                raise ModelRejected(
                    f"prompt {k} has {len(prompt):,} tokens: the model's context of {context:,} has no room for a completion"
                )
        with self.network.lock:
            plan.check_time(0)
            rows = self._draw(prompts, n, plan)
            completions = self._completions(rows, plan, prompts, n)
        return [completions[k * n : (k + 1) * n] for k in range(len(prompts))]

    def _plan(self, n: int, sampling: Sampling, deadline: float | None, cancelled: Callable[[], bool] | None) -> Plan:
        if sampling.schema is not None:
            raise ModelError(
                f"{self.address}: this back end cannot hold a completion to a JSON schema; its abilities: "
                f"{', '.join(sorted(self.abilities))}"
            )
        most = self.max_tokens if sampling.max_tokens is None else sampling.max_tokens
        if n < 1 or most < 1 or not 0 <= sampling.temperature < float("inf") or not 0 < sampling.top_p <= 1:
            raise ModelError(
                f"n={n}, max_tokens={most}, temperature={sampling.temperature}, top_p={sampling.top_p}: expected n and "
                "max_tokens of at least 1, a temperature of at least 0 and a top_p above 0 and up to 1"
            )
        if any(not string for string in sampling.stop):
            raise ModelError("stop has an empty string: it would end every completion before its first token")
        ends = self.ends
        if not ends and not sampling.stop:
            raise ModelError(
                f"{self.address}: neither the tokenizer (eos_token) nor the generation configuration names an end token: "
                "completions would never end; set one, or give stop strings"
            )
        if self.network.context is not None:
            most = min(most, self.network.context)
        return Plan(sampling.temperature, sampling.top_p, most, ends, sampling.stop, sampling.seed, deadline, cancelled)

    def _draw(self, prompts: Sequence[Tokens], n: int, plan: Plan) -> list[DrawnRow]:
        return draw_rows(self.network, prompts, n, plan, self._decode)

    def _decode(self, rows: list[Tokens]) -> list[str]:
        if not rows:  # some versions of transformers decode no rows to one empty text
            return []
        texts: list[str] = self.tokenizer.batch_decode([row.tolist() for row in rows], skip_special_tokens=True)
        return texts

    def _completions(self, rows: list[DrawnRow], plan: Plan, prompts: Sequence[Tokens], n: int) -> list[Completion]:
        cut = [row.tokens[:-1] if row.ended and int(row.tokens[-1]) in plan.ends else row.tokens for row in rows]
        completions = []
        for k, (row, text) in enumerate(zip(rows, self._decode(cut), strict=True)):
            stop = first_stop(text, plan.stop)
            cost = Cost(calls=1, tokens=len(row.tokens) + (len(prompts[k // n]) if k % n == 0 else 0))
            completions.append(
                Completion(
                    text if stop is None else text[:stop],
                    finish="stop" if row.ended else "length",
                    tokens=row.tokens,
                    logprobs=row.logprobs,
                    cost=cost,
                )
            )
        return completions


def _check_tokenizer(tokenizer: Any, network: Network, address: str) -> None:
    if not callable(tokenizer) or not hasattr(tokenizer, "batch_decode") or not hasattr(tokenizer, "get_vocab"):
        raise ModelError(f"{address}: tokenizer is {type(tokenizer).__name__}: expected a tokenizer of transformers")
    vocabulary = tokenizer.get_vocab()
    if not vocabulary:
        raise ModelError(f"{address}: the tokenizer has no tokens: its files are missing")
    token, highest = max(vocabulary.items(), key=lambda item: item[1])
    if highest >= network.vocabulary:
        raise ModelError(
            f"{address}: the tokenizer does not belong to the model: its token {token!r} has id {highest:,}, the model's "
            f"vocabulary has {network.vocabulary:,}"
        )
