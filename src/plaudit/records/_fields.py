"""The columns of a sample that are neither prompt, response nor reference."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.records._decode import kind_of
from plaudit.records._layout import Fields
from plaudit.records._rejected import RowError

_FINISH = ("stop", "length", "tool", "error")


def group_size_of(fields: Fields) -> int | None:
    """How many samples the trainer drew for this prompt; None = not said. Raises RowError."""
    value = fields.take("group_size")
    if type(value) is float and value.is_integer():
        value = int(value)
    if value is not None and (type(value) is not int or value < 1):
        raise RowError(fields.name("group_size"), f"is {_shown(value)}: expected a whole number of at least 1")
    return value


def tools_of(fields: Fields) -> Any:
    """The tool schemas: a list of objects, or its JSON text as TRL's datasets hold it. Raises RowError."""
    value = fields.take("tools")
    name = fields.name("tools")
    if value is None:
        return ()
    if type(value) is str:
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise RowError(name, "is text that is not JSON: expected a list of tool schemas") from None
    if type(value) is not list or not all(type(tool) is dict for tool in value):
        raise RowError(name, f"holds {kind_of(value)}: expected a list of tool schemas (objects)")
    return value


class PerCandidate:
    """tokens, logprobs and finish of a row: one value, or one for each of its n candidates."""

    def __init__(self, fields: Fields, n: int | None) -> None:
        self._values = {field: fields.take(field) for field in ("tokens", "logprobs", "finish")}
        self._names = {field: fields.name(field) for field in self._values}
        self._n = n

    def _value(self, field: str, k: int) -> tuple[str, Any]:
        name, value = self._names[field], self._values[field]
        if self._n is None or value is None or (field == "finish" and type(value) is str):
            return name, value
        if type(value) is not list or len(value) != self._n:
            found = f"{len(value)} entries" if type(value) is list else kind_of(value)
            raise RowError(name, f"holds {found} for {self._n} completions: expected one entry for each")
        return f"{name}[{k}]", value[k]

    def tokens(self, k: int) -> NDArray[np.int64] | None:
        """(T,) token ids of candidate k; None = not there. Raises RowError."""
        name, value = self._value("tokens", k)
        if value is None:
            return None
        ids = _numbers(name, value, "iu", "whole numbers")
        if ids.size and int(ids.min()) < 0:
            raise RowError(name, f"holds {int(ids.min())}: expected token ids, which are not negative")
        return ids.astype(np.int64)

    def logprobs(self, k: int, tokens: NDArray[np.int64] | None) -> NDArray[np.float64] | None:
        """(T,) log-probabilities of the tokens of candidate k; None = not there. Raises RowError."""
        name, value = self._value("logprobs", k)
        if value is None:
            return None
        logprobs = _numbers(name, value, "iuf", "numbers").astype(np.float64)
        if bool(np.isnan(logprobs).any()) or bool((logprobs == np.inf).any()):
            raise RowError(name, "holds NaN or infinity: expected log-probabilities")
        if tokens is not None and len(tokens) != len(logprobs):
            raise RowError(name, f"has {len(logprobs)} entries for {len(tokens)} tokens: expected one for each token")
        return logprobs

    def finish(self, k: int) -> Any:
        """Why generation of candidate k stopped; None = not said. Raises RowError."""
        name, value = self._value("finish", k)
        if value == "tool_calls":  # the word of OpenAI's wire format
            return "tool"
        if value is not None and value not in _FINISH:
            raise RowError(name, f"is {_shown(value)}: expected one of {', '.join(_FINISH)}, or null")
        return value


def _numbers(name: str, value: Any, kinds: str, expected: str) -> NDArray[Any]:
    if type(value) is not list:
        raise RowError(name, f"holds {kind_of(value)}: expected a list of {expected}")
    wrong = next(
        (k for k, item in enumerate(value) if type(item) is not int and (type(item) is not float or "f" not in kinds)), None
    )
    if wrong is not None:
        raise RowError(name, f"entry {wrong} is {_shown(value[wrong])}: expected {expected}")
    try:
        return np.array(value, dtype=np.float64 if "f" in kinds else np.int64)
    except OverflowError:
        raise RowError(name, "holds a number that does not fit into 64 bits") from None


def _shown(value: Any) -> str:
    return repr(value)[:60] if type(value) in (str, int, float, bool) else kind_of(value)
