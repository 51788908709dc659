"""`openai:MODEL`: any endpoint that speaks OpenAI's Chat Completions or Completions."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Coroutine, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urlencode

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import ModelError, SpecError
from plaudit.lm._budget import Budget, Prices, Tally
from plaudit.lm._drawing import check_drawing, draw_all, known_draws
from plaudit.lm._endpoint import EndpointKey
from plaudit.lm._errors import MissingKey
from plaudit.lm._options import check_base_url, check_number, check_word
from plaudit.lm._remote_reading import check_reading, read_all, tokenize_all
from plaudit.run import event_loop
from plaudit.types import Ability, Completion, Conversation, Cost, Reading, Sampling

T = TypeVar("T")
PUBLIC_BASE_URL = "https://api.openai.com/v1"


@dataclass(frozen=True)
class OpenAIModel:
    """A language model behind an endpoint of OpenAI's kind: OpenAI, vLLM, SGLang, llama.cpp, a proxy.

    Its calls run on plaudit's one background event loop, whatever thread or loop they come from; objects that name the same
    endpoint, key, model and limits share connections, limits and the slowing-down after "too many requests".

    Fields:
        model: the model's name at the endpoint.
        base_url: up to and with ``/v1``; None = the environment variable OPENAI_BASE_URL, else OpenAI's own.
        api_key_env: environment variable that holds the key; endpoints other than OpenAI's are also asked without one.
        requests_per_minute, tokens_per_minute: our own limits; None = none.
        max_in_flight: requests that wait for their answer at the same time.
        timeout: seconds for one attempt, from connecting to the last byte.
        max_retries: further attempts after 408, 429, a server error, a broken connection or a time-out.
        max_retry_after: seconds; an endpoint that asks for a longer pause is given up on.
        patience: seconds without one answer after which the endpoint counts as down and failed attempts are not repeated.
        largest_reply: bytes of a reply that are read.
        structured: how a schema is asked for: ``"json_schema"``, ``"json_object"`` (and the schema in the prompt), ``"prompt"``
            alone, or ``"auto"``: one after the other, as the endpoint refuses them.
        price_prompt, price_completion: money per million tokens.
        budget_calls, budget_tokens, budget_money: most that this object spends in this process; None = no limit.
        revision: part of `version`: change it when another model hides behind the same name.
        api: ``"chat"`` = Chat Completions; ``"completions"`` = texts are continued as they are; ``"auto"`` = texts by
            Completions, messages by Chat Completions.
        reading: how the endpoint scores given tokens: ``"none"`` = not known to, ``"prompt_logprobs"`` as vLLM does, ``"echo"``.
        token_ids: ask for the ids of sampled tokens with their log-probabilities (``return_tokens_as_token_ids``).
        cache: folder in which completions are kept and looked up; None = the one of `response_cache`, else none.

    Raises SpecError for a field outside these.

    >>> OpenAIModel("gpt-x", base_url="http://localhost:8000/v1").address
    'openai:gpt-x?base_url=http://localhost:8000/v1'
    """

    model: str
    base_url: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    max_in_flight: int = 64
    timeout: float = 60.0
    max_retries: int = 6
    max_retry_after: float = 60.0
    patience: float = 120.0
    largest_reply: int = 8 * 1024 * 1024
    structured: Literal["auto", "json_schema", "json_object", "prompt"] = "auto"
    price_prompt: float = 0.0
    price_completion: float = 0.0
    budget_calls: int | None = None
    budget_tokens: int | None = None
    budget_money: float | None = None
    revision: str | None = None
    api: Literal["chat", "completions", "auto"] = "chat"
    reading: Literal["none", "prompt_logprobs", "echo"] = "none"
    token_ids: bool = False
    cache: str | None = None
    tally: Tally = field(default_factory=Tally, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not self.model or any(c.isspace() or c == "?" for c in self.model):
            raise SpecError(f"model is {self.model!r}: expected the model's name at the endpoint, without spaces and '?'")
        if not isinstance(self.api_key_env, str) or not self.api_key_env:
            raise SpecError("api_key_env: expected the name of the environment variable that holds the API key")
        check_word(self, "api", ("chat", "completions", "auto"))
        check_word(self, "structured", ("auto", "json_schema", "json_object", "prompt"))
        check_word(self, "reading", ("none", "prompt_logprobs", "echo"))
        if not isinstance(self.token_ids, bool):
            raise SpecError(f"token_ids is {self.token_ids!r}: expected true or false")
        if self.cache is not None and not (isinstance(self.cache, str) and self.cache):
            raise SpecError(f"cache is {self.cache!r}: expected the name of a folder")
        for name in ("requests_per_minute", "tokens_per_minute", "max_in_flight", "timeout", "patience", "largest_reply"):
            check_number(self, name, above=0.0)
        for name in ("max_retries", "max_retry_after", "price_prompt", "price_completion", "budget_calls", "budget_tokens",
                     "budget_money"):  # fmt: skip
            check_number(self, name, at_least=0.0)
        if self.base_url is not None:
            check_base_url(self.base_url, "base_url")
        if self.reading != "none" and self.effective_base_url == PUBLIC_BASE_URL:
            raise SpecError(
                f"reading is {self.reading!r}: OpenAI's own endpoint lacks the ability 'read' (it scores no given tokens): set "
                "base_url to a server that does, such as vLLM"
            )

    @property
    def address(self) -> str:
        """``openai:MODEL`` with the fields that differ from their defaults as a query; names an equal object, holds no key."""
        options = {f.name: getattr(self, f.name) for f in fields(self) if f.init and f.name != "model"}
        defaults = {f.name: f.default for f in fields(self)}
        query = urlencode({name: v for name, v in options.items() if v != defaults[name]}, safe=":/", quote_via=quote)
        return f"openai:{self.model}" + (f"?{query}" if query else "")

    @property
    def version(self) -> str:
        """The model's name, with `revision` and another `api` where there is one; a model that changes behind its name is not
        noticed."""
        named = f"openai:{self.model}" + (f"@{self.revision}" if self.revision is not None else "")
        return named if self.api == "chat" else f"{named}?api={self.api}"

    @property
    def abilities(self) -> frozenset[Ability]:
        """``generate``, ``schema``, ``logprobs``; ``read`` where `reading` says how."""
        reads: tuple[Ability, ...] = () if self.reading == "none" else ("read",)
        return frozenset(("generate", "schema", "logprobs", *reads))

    @property
    def spent(self) -> Cost:
        """What all calls of this object have cost in this process; seconds are not counted."""
        return self.tally.cost()

    @property
    def prices(self) -> Prices:
        """Money per million tokens."""
        return Prices(self.price_prompt, self.price_completion)

    @property
    def budget(self) -> Budget:
        """The most that this object spends."""
        return Budget(self.budget_calls, self.budget_tokens, self.budget_money)

    def generate(
        self,
        conversations: Sequence[Conversation],
        n: int = 1,
        sampling: Sampling | None = None,
        *,
        deadline: float | None = None,
    ) -> list[list[Completion]]:
        """Draw n completions for each conversation; blocks. As `agenerate`.

        Raises ModelError when called on plaudit's own event loop, which it would block for ever.
        """
        wanted = sampling if sampling is not None else Sampling()
        check_drawing(self, conversations, n)
        known = known_draws(self, conversations, n, wanted)
        return known if known is not None else self._blocked("agenerate", draw_all(self, conversations, n, wanted, deadline))

    async def agenerate(
        self,
        conversations: Sequence[Conversation],
        n: int = 1,
        sampling: Sampling | None = None,
        *,
        deadline: float | None = None,
    ) -> list[list[Completion]]:
        """Draw n completions for each conversation, in their order; the first error cancels the rest.

        `deadline` is an instant of time.monotonic(); None = none. The cost of a request stands on the first of its completions.
        With a schema the text is the model's reply as it is: read it with `read_json`.

        Raises a `CallError` that carries what was spent, MissingKey, or ModelError for a sampling this back end cannot do.
        """
        wanted = sampling if sampling is not None else Sampling()
        check_drawing(self, conversations, n)
        known = known_draws(self, conversations, n, wanted)
        return known if known is not None else await _awaited(draw_all(self, conversations, n, wanted, deadline))

    def tokenize(self, prompts: Sequence[Conversation], responses: Sequence[str]) -> list[NDArray[np.int64]]:
        """The token ids of n responses, each tokenised by itself without special tokens, by the server's ``/tokenize``.

        The prompts have no influence: a continuation begins a token of its own. Blocks.

        Raises AbilityMissing for a server without ``/tokenize``.
        """
        return self._blocked("atokenize", tokenize_all(self, responses))

    def read(
        self,
        prompts: Sequence[Conversation],
        token_ids: Sequence[Sequence[Sequence[int] | NDArray[np.integer[Any]]]],
        what: Collection[str] = ("logprob",),
    ) -> list[list[Reading]]:
        """For each of n prompts, the log-probabilities of each of its continuations (token ids); blocks. As `aread`."""
        check_reading(self, prompts, token_ids, what)
        return self._blocked("aread", read_all(self, prompts, token_ids))

    async def aread(
        self,
        prompts: Sequence[Conversation],
        token_ids: Sequence[Sequence[Sequence[int] | NDArray[np.integer[Any]]]],
        what: Collection[str] = ("logprob",),
    ) -> list[list[Reading]]:
        """For each of n prompts, the log-probabilities of each of its continuations (token ids).

        A prompt goes through the server's ``/tokenize``: a text as it is, unless `api` is ``"chat"``; messages, with the chat
        template up to where the answer begins. Each continuation is a request of its own; servers compute the shared prompt once
        where they cache prefixes. `what`: ``"logprob"`` only.

        Raises ModelError for a model without the ability 'read' and an empty continuation, AbilityMissing for a server that
        leaves the log-probabilities out.
        """
        check_reading(self, prompts, token_ids, what)
        return await _awaited(read_all(self, prompts, token_ids))

    def _blocked(self, instead: str, coroutine: Coroutine[Any, Any, T]) -> T:
        """What a coroutine on plaudit's event loop returns."""
        refusal = ModelError(f"{self.version}: this would block plaudit's event loop: use 'await {instead}()' there")
        return event_loop().wait_for(coroutine, refusal)

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.init}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, tally=Tally())

    @property
    def effective_base_url(self) -> str:
        """Where requests go now: `base_url`, else the environment variable OPENAI_BASE_URL, else OpenAI's own.

        Raises SpecError when the environment variable holds no URL.
        """
        if self.base_url is not None:
            return self.base_url.rstrip("/")
        given = os.environ.get("OPENAI_BASE_URL", "").strip()
        if not given:
            return PUBLIC_BASE_URL
        check_base_url(given, "the environment variable OPENAI_BASE_URL")
        return given.rstrip("/")

    def endpoint_key(self) -> EndpointKey:
        """What shares connections and limits with this object. Raises MissingKey."""
        url = self.effective_base_url
        key = os.environ.get(self.api_key_env, "").strip() or None
        if key is None and url == PUBLIC_BASE_URL:
            raise MissingKey(
                f"{self.version}: no API key: set the environment variable {self.api_key_env}, or base_url for another endpoint"
            )
        if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
            raise MissingKey(
                f"{self.version}: the environment variable {self.api_key_env} holds spaces, line breaks or characters outside "
                "ASCII, which no key has"
            )
        return EndpointKey(
            os.getpid(), url, self.api_key_env, key, self.model, self.requests_per_minute, self.tokens_per_minute,
            self.max_in_flight, self.max_retry_after,
        )  # fmt: skip


async def _awaited(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine on plaudit's event loop returns, awaited from any loop."""
    if event_loop().is_current:
        return await coroutine
    return await asyncio.wrap_future(event_loop().submit(coroutine))
