"""`openai:MODEL`: any endpoint that speaks OpenAI's Chat Completions."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal
from urllib.parse import quote, urlencode

from plaudit.errors import ModelError, SpecError
from plaudit.lm._attempts import Tally, answered
from plaudit.lm._conversation import completions_of, messages_of
from plaudit.lm._endpoint import EndpointKey, endpoint_for
from plaudit.lm._errors import MissingKey
from plaudit.lm._options import check_base_url, check_number
from plaudit.run import event_loop
from plaudit.types import Ability, Completion, Conversation, Cost, Sampling
from plaudit.wire import ChatRequest

PUBLIC_BASE_URL = "https://api.openai.com/v1"


@dataclass(frozen=True)
class OpenAIModel:
    """A language model behind an endpoint that speaks OpenAI's Chat Completions: OpenAI, vLLM, SGLang, llama.cpp, a proxy.

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
        structured: how a schema is asked for: ``"json_schema"``, ``"prompt"``, or ``"auto"``: the first until it is refused.
        price_prompt, price_completion: money per million tokens.
        budget_calls, budget_tokens, budget_money: most that this object spends in this process; None = no limit.
        revision: part of `version`: change it when another model hides behind the same name.

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
    structured: Literal["auto", "json_schema", "prompt"] = "auto"
    price_prompt: float = 0.0
    price_completion: float = 0.0
    budget_calls: int | None = None
    budget_tokens: int | None = None
    budget_money: float | None = None
    revision: str | None = None
    _spent: Tally = field(default_factory=Tally, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not self.model or any(c.isspace() or c == "?" for c in self.model):
            raise SpecError(f"model is {self.model!r}: expected the model's name at the endpoint, without spaces and '?'")
        if not isinstance(self.api_key_env, str) or not self.api_key_env:
            raise SpecError("api_key_env: expected the name of the environment variable that holds the API key")
        if self.structured not in ("auto", "json_schema", "prompt"):
            raise SpecError(f"structured is {self.structured!r}: expected 'auto', 'json_schema' or 'prompt'")
        for name in ("requests_per_minute", "tokens_per_minute", "max_in_flight", "timeout", "patience", "largest_reply"):
            check_number(self, name, above=0.0)
        for name in ("max_retries", "max_retry_after", "price_prompt", "price_completion", "budget_calls", "budget_tokens",
                     "budget_money"):  # fmt: skip
            check_number(self, name, at_least=0.0)
        if self.base_url is not None:
            check_base_url(self.base_url, "base_url")

    @property
    def address(self) -> str:
        """``openai:MODEL`` with the fields that differ from their defaults as a query; names an equal object, holds no key."""
        options = {f.name: getattr(self, f.name) for f in fields(self) if f.init and f.name != "model"}
        defaults = {f.name: f.default for f in fields(self)}
        query = urlencode({name: v for name, v in options.items() if v != defaults[name]}, safe=":/", quote_via=quote)
        return f"openai:{self.model}" + (f"?{query}" if query else "")

    @property
    def version(self) -> str:
        """The model's name, with `revision` where there is one; a model that changes behind its name is not noticed."""
        return f"openai:{self.model}" + (f"@{self.revision}" if self.revision is not None else "")

    @property
    def abilities(self) -> frozenset[Ability]:
        """``generate`` and ``schema``."""
        return frozenset(("generate", "schema"))

    @property
    def spent(self) -> Cost:
        """What all calls of this object have cost in this process; seconds are not counted."""
        return self._spent.cost()

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
        if event_loop().is_current:
            raise ModelError(f"{self.version}: generate() would block plaudit's event loop: use 'await agenerate()' there")
        future = event_loop().submit(self._draw_all(conversations, n, sampling, deadline))
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

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
        drawing = self._draw_all(conversations, n, sampling, deadline)
        if event_loop().is_current:
            return await drawing
        return await asyncio.wrap_future(event_loop().submit(drawing))

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.init}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _spent=Tally())

    async def _draw_all(
        self, conversations: Sequence[Conversation], n: int, sampling: Sampling | None, deadline: float | None
    ) -> list[list[Completion]]:
        if isinstance(conversations, str):
            raise ModelError("agenerate got one text: expected a list of conversations; write [text]")
        if n < 1:
            raise ModelError(f"n is {n}: expected at least one completion for each conversation")
        wanted = sampling if sampling is not None else Sampling()
        if wanted.logprobs:
            raise ModelError(f"{self.version}: this back end gives no log-probabilities; its abilities: generate, schema")
        if len(conversations) == 1:
            return [await self._draw(conversations[0], n, wanted, deadline)]
        tasks = [asyncio.ensure_future(self._draw(conversation, n, wanted, deadline)) for conversation in conversations]
        try:
            return await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    async def _draw(self, conversation: Conversation, n: int, sampling: Sampling, deadline: float | None) -> list[Completion]:
        endpoint = endpoint_for(self._endpoint_key())
        request = ChatRequest(
            model=self.model,
            messages=messages_of(conversation),
            temperature=sampling.temperature,
            top_p=None if sampling.top_p == 1.0 else sampling.top_p,
            max_tokens=sampling.max_tokens,
            stop=sampling.stop,
            seed=sampling.seed,
            schema=sampling.schema,
        )
        drawn: list[Completion] = []
        while len(drawn) < n:  # a server may give fewer choices than asked for
            reply, cost = await answered(self, self._spent, endpoint, replace(request, n=n - len(drawn)), deadline)
            drawn += completions_of(reply, cost)
        return drawn[:n]

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

    def _endpoint_key(self) -> EndpointKey:
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
            os.getpid(), url, key, self.model, self.requests_per_minute, self.tokens_per_minute, self.max_in_flight,
            self.max_retry_after,
        )  # fmt: skip
