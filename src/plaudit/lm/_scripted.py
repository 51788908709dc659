"""`scripted:FILE`: canned answers, for tests and demonstrations without an endpoint."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from plaudit.errors import ModelError, SpecError
from plaudit.lm._drawing import together
from plaudit.lm._errors import DeadlinePassed
from plaudit.lm._script import Entry, digest, entry_of, read_script
from plaudit.run import event_loop
from plaudit.types import Ability, Completion, Conversation, Cost, Sampling


class ScriptedModel:
    """A language model that says what it is told to.

    For each completion the first line that matches the prompt and is not used up is taken; where none matches, the next of the
    lines that wait for their turn. Lines are given out before anything waits, in the order of conversations and draws, so that
    the same calls get the same answers. A pickled copy begins the script anew.

    Args:
        answers: texts, or mappings with the members of a script's line (`answer`; `exact`, `contains` or `regex`; `times`;
            `finish`, `reasoning`, `logprobs`, `tokens`, `usage`, `latency`; `status` or `failure` and `message`).

    Sampling has no influence: answers come as they are written, whatever max_tokens, stop and schema say.

    Raises SpecError for an answer that cannot be read, which it counts from 0.

    >>> model = ScriptedModel([{"contains": "2+2", "answer": "4"}, "I do not know."])
    >>> [row[0].text for row in model.generate(["What is 2+2?", "And 3+3?"])]
    ['4', 'I do not know.']
    """

    def __init__(self, answers: Sequence[str | Mapping[str, Any] | Entry], *, address: str | None = None) -> None:
        if isinstance(answers, str):
            raise SpecError("answers is one text: expected a list of them")
        entries = []
        for k, given in enumerate(answers):
            try:
                entries.append(entry_of(given))
            except SpecError as error:
                raise SpecError(f"answers[{k}]: {error}") from error
        if not entries:
            raise SpecError("the script is empty: expected at least one answer")
        self._entries = tuple(entries)
        self._version = f"scripted:{digest(self._entries)}"
        self._address = self._version if address is None else address
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._used = [0] * len(self._entries)
        self._asked: list[str] = []

    @classmethod
    def from_file(cls, path: str | Path) -> ScriptedModel:
        """The script in a JSONL file. Raises DataError that names the line, SpecError for a file that cannot be read."""
        entries = read_script(Path(path))
        if not entries:
            raise SpecError(f"script {path} is empty: expected a JSON object on each line, with 'answer'")
        return cls(entries, address=f"scripted:{path}")

    @property
    def address(self) -> str:
        """``scripted:FILE``; the version where the answers came from Python."""
        return self._address

    @property
    def version(self) -> str:
        """``scripted:`` and a digest of the script's content; the file's name and place have no part in it."""
        return self._version

    @property
    def abilities(self) -> frozenset[Ability]:
        """``generate``; ``schema`` where an answer is a JSON value and no text, ``logprobs`` where an answer has them."""
        found: set[Ability] = {"generate"}
        if any(entry.answer is not None and not isinstance(entry.answer, str) for entry in self._entries):
            found.add("schema")
        if any(entry.logprobs is not None for entry in self._entries):
            found.add("logprobs")
        return frozenset(found)

    @property
    def asked(self) -> tuple[str, ...]:
        """The texts of all conversations that were asked so far, once for each draw."""
        with self._lock:
            return tuple(self._asked)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ScriptedModel) and self._version == other._version

    def __hash__(self) -> int:
        return hash(self._version)

    def __repr__(self) -> str:
        return f"ScriptedModel({self._address!r}, {len(self._entries)} answers)"

    def __getstate__(self) -> dict[str, Any]:
        return {"_entries": self._entries, "_version": self._version, "_address": self._address}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def generate(
        self,
        conversations: Sequence[Conversation],
        n: int = 1,
        sampling: Sampling | None = None,
        *,
        deadline: float | None = None,
    ) -> list[list[Completion]]:
        """The next answers; blocks as long as their latencies. As `agenerate`."""
        drawing = self.agenerate(conversations, n, sampling, deadline=deadline)
        refusal = ModelError(f"{self._version}: generate() would block plaudit's event loop: use 'await agenerate()' there")
        return event_loop().wait_for(drawing, refusal)

    async def agenerate(
        self,
        conversations: Sequence[Conversation],
        n: int = 1,
        sampling: Sampling | None = None,
        *,
        deadline: float | None = None,
    ) -> list[list[Completion]]:
        """The next answers, in the order of the conversations; the first failure cancels the rest.

        Raises ModelError when the script has run out, or lacks log-probabilities that are asked for; a `CallError` where a line
        says so, and DeadlinePassed where its latency passes the deadline.
        """
        if isinstance(conversations, str):
            raise ModelError("agenerate got one text: expected a list of conversations; write [text]")
        if n < 1:
            raise ModelError(f"n is {n}: expected at least one completion for each conversation")
        wanted = sampling is not None and sampling.logprobs
        if wanted and "logprobs" not in self.abilities:
            raise ModelError(f"{self._version}: the script lacks the ability 'logprobs': none of its answers has them")
        texts = [text_of(conversation) for conversation in conversations]
        with self._lock:
            taken = [self._take(text) for text in texts for _ in range(n)]
        drawn: list[Completion] = await together([self._play(entry, wanted, deadline) for entry in taken])
        return [drawn[k * n : (k + 1) * n] for k in range(len(texts))]

    def _take(self, text: str) -> Entry:
        self._asked.append(text)
        for matching in (True, False):
            for k, entry in enumerate(self._entries):
                free = entry.uses is None or self._used[k] < entry.uses
                if free and entry.matcher is matching and (not matching or entry.matches(text)):
                    self._used[k] += 1
                    return entry
        shown = text if len(text) <= 100 else f"{text[:99]}…"
        raise ModelError(
            f"{self._address}: the script has run out after {len(self._asked) - 1} answers: none of its {len(self._entries)} "
            f"lines answers {shown!r}; add a line, or one with 'contains': ''"
        )

    async def _play(self, entry: Entry, wanted: bool, deadline: float | None) -> Completion:
        cost = Cost(entry.latency, 1, sum(entry.usage))
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left < entry.latency:
            await asyncio.sleep(max(0.0, left))
            raise DeadlinePassed(f"{self._version}: the deadline passed before the answer came", cost=cost)
        await asyncio.sleep(entry.latency)
        if entry.error is not None:
            said = entry.message if entry.status is None else f"status {entry.status}: {entry.message}"
            raise entry.error(f"{self._version}: {said}", cost=cost, status=entry.status)
        if wanted and entry.logprobs is None:
            raise ModelError(
                f"{self._version}: the answer {entry.text[:40]!r} of the script has no logprobs, which were asked for"
            )
        tokens = np.array(entry.tokens, dtype=np.int64) if wanted and entry.tokens is not None else None
        logprobs = np.array(entry.logprobs, dtype=np.float64) if wanted else None
        return Completion(entry.text, entry.reasoning, entry.finish, tokens, logprobs, cost)


def text_of(conversation: Conversation) -> str:
    """The text of a conversation that a script matches: its messages' contents, joined by line breaks.

    >>> text_of([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?"}])
    'Be brief.\\n2+2?'
    """
    if isinstance(conversation, str):
        return conversation
    contents = []
    for message in conversation:
        content = message.get("content")
        parts = [{"text": content}] if isinstance(content, str) else content or []
        contents += [str(part["text"]) for part in parts if isinstance(part, Mapping) and "text" in part]
    return "\n".join(contents)


def scripted_model(rest: str) -> ScriptedModel:
    """The model of an address ``scripted:FILE``. Raises as `ScriptedModel.from_file`."""
    if not rest:
        raise SpecError("model address 'scripted:': expected 'scripted:FILE' with a JSONL file")
    return ScriptedModel.from_file(rest)
