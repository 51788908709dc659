"""The form of a response: tags in their order, each once, and a pattern."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

from plaudit.errors import SpecError
from plaudit.reward import Facts, Reward
from plaudit.text import Read, final_text, opens_in_thought
from plaudit.types import Context, Sample, Verdict

_TAG_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*\Z")


@dataclass(frozen=True)
class Format(Reward):
    """1 when the response has the required form, else 0 with ``response_format`` and what is wrong.

    Each tag of `tags` is opened once and closed once, in this order, one behind the other: a tag that is doubled, nested,
    swapped or pasted into another fails, and so does one that comes again in other letter case (``<Think>``). A prompt that
    ends with ``<think>`` has opened that tag for the response.

    Fields:
        tags: names of the tags, in their order; () = none are required.
        outside: ``"nothing"`` = only white space stands outside the tags; ``"text"`` = anything may.
        empty: whether a tag may hold only white space.
        opened: the prompt's template writes the first opening tag, so the response does not.
        pattern: a Python regular expression that the text must match as well; None = none.
        match: ``"full"`` = the pattern matches the whole text; ``"search"`` = it is found somewhere.
        read: ``"whole"`` = everything the policy wrote, for thinking tags are the point; ``"final"`` = after its thinking.
        timeout: seconds that a pattern may take on one response.

    Tags are counted in linear time, in the caller. A user's pattern can take exponential time and nothing in Python can
    interrupt one, so with a pattern the reward runs on the cpu lane, where a worker that overruns `timeout` is killed: the
    response is then SCORED 0, ``response_timeout``.

    Raises SpecError for tags that are no names or not distinct, a pattern that does not compile, or neither of the two.

    >>> think = Format(tags=("think", "answer"))
    >>> think.one("2+2?", "<think>two and two</think> <answer>4</answer>").value
    1.0
    >>> think.one("2+2?", "<think><answer>4</answer></think>").explanation
    '<answer> stands inside or before <think>'
    """

    tags: tuple[str, ...] = ("think", "answer")
    outside: Literal["nothing", "text"] = "nothing"
    empty: bool = False
    opened: bool = False
    pattern: str | None = None
    match: Literal["full", "search"] = "full"
    read: Read = "whole"
    timeout: float = 1.0

    example: ClassVar[Mapping[str, Any]] = {"tags": ["think", "answer"]}

    def __post_init__(self) -> None:
        if not self.tags and self.pattern is None:
            raise SpecError("verify.format: neither tags nor a pattern: give at least one of them")
        bad = [tag for tag in self.tags if not _TAG_NAME.match(tag)]
        if bad or len({tag.lower() for tag in self.tags}) != len(self.tags):
            raise SpecError(
                f"verify.format: tags is {list(self.tags)}: expected distinct names such as 'think', without brackets"
            )
        if self.opened and not self.tags:
            raise SpecError("verify.format: opened=True says that the prompt writes the first tag, but tags is empty")
        if not self.timeout > 0:
            raise SpecError(f"verify.format: timeout is {self.timeout}: expected a positive number of seconds")
        if self.pattern is not None:
            _compiled(self.pattern)

    @property
    def facts(self) -> Facts:
        """Range (0, 1); inline, or the cpu lane with a deadline when there is a pattern."""
        reads = frozenset({"prompt", "response"})
        if self.pattern is None:
            return Facts(range=(0.0, 1.0), reads=reads)
        return Facts(range=(0.0, 1.0), reads=reads, lane="cpu", timeout=self.timeout)

    def score_one(self, sample: Sample, context: Context) -> Verdict:
        """The verdict on one sample."""
        text = final_text(sample, self.read)
        if text is None:
            return Verdict(0.0, reason="response_unclosed_thought")
        if not text or text.isspace():
            return Verdict(0.0, reason="response_empty")
        wrong = self._wrong_tags(text, sample) or self._wrong_pattern(text)
        if wrong is not None:
            return Verdict(0.0, reason="response_format", explanation=wrong)
        return Verdict(1.0)

    def _wrong_tags(self, text: str, sample: Sample) -> str | None:
        if not self.tags:
            return None
        if self.opened or (self.read == "whole" and self.tags[0] == "think" and _continues_thought(sample, text)):
            text = f"<{self.tags[0]}>{text}"
        places = _places(text, self.tags)
        return places if isinstance(places, str) else self._wrong_content(text, places)

    def _wrong_content(self, text: str, places: list[tuple[int, int]]) -> str | None:
        behind = 0
        for tag, (start, end) in zip(self.tags, places, strict=True):
            if self.outside == "nothing" and text[behind:start].strip():
                return f"text stands outside the tags, before <{tag}>"
            if not self.empty and not text[start + len(tag) + 2 : end].strip():
                return f"<{tag}> is empty"
            behind = end + len(tag) + 3
        if self.outside == "nothing" and text[behind:].strip():
            return f"text stands outside the tags, behind </{self.tags[-1]}>"
        return None

    def _wrong_pattern(self, text: str) -> str | None:
        if self.pattern is None:
            return None
        compiled = _compiled(self.pattern)
        found = compiled.fullmatch(text) if self.match == "full" else compiled.search(text)
        return None if found else f"the pattern {self.pattern!r} does not match"


def _places(text: str, tags: tuple[str, ...]) -> list[tuple[int, int]] | str:
    """Where each tag is opened and closed, or what is wrong with their number or order."""
    lower = text.lower()
    places: list[tuple[int, int]] = []
    for k, tag in enumerate(tags):
        for mark in (f"<{tag}>", f"</{tag}>"):
            if (count := lower.count(mark.lower())) > 1:
                return f"{mark} stands {count} times"
            if mark not in text:
                return f"{mark} is missing"
        start, end = text.index(f"<{tag}>"), text.index(f"</{tag}>")
        if end < start:
            return f"</{tag}> stands before <{tag}>"
        if places and start < places[-1][1]:
            return f"<{tag}> stands inside or before <{tags[k - 1]}>"
        places.append((start, end))
    return places


def _continues_thought(sample: Sample, text: str) -> bool:
    # Where a server has taken the thinking out of a message, the rendering begins with the tag.
    taken_out = not isinstance(sample.response, str) and text.startswith("<think>\n")
    return not taken_out and opens_in_thought(sample.prompt)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise SpecError(f"verify.format: the pattern {pattern!r} does not compile: {error}") from error
