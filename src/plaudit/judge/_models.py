"""Which language model judges: an address, a name in the context, or the model itself."""

from __future__ import annotations

import threading
from urllib.parse import parse_qs, quote

from plaudit.errors import ModelError, SpecError
from plaudit.lm import context_name, model_for, model_reads, resolve
from plaudit.types import Context, LanguageModel


class JudgeModel:
    """The judge's model, resolved at the first call: a spec can be read where no model can be reached.

    Raises SpecError for something that is neither an address nor a language model.
    """

    def __init__(self, model: str | LanguageModel, base_url: str | None) -> None:
        self._lock = threading.Lock()
        self._model: LanguageModel | None = None
        self._given: str | LanguageModel = model
        self._name: str | None = None
        if isinstance(model, str):
            scheme, colon, _ = model.partition(":")
            if not colon or not scheme:
                raise SpecError(f"model is {model!r}: expected an address such as 'openai:gpt-4o-mini', or 'policy:'")
            self._name = context_name(model)
            if base_url is not None:
                self._given = _at(model, base_url)
        elif isinstance(model, LanguageModel):
            if base_url is not None:
                raise SpecError("base_url goes with an address 'openai:NAME'; a model object has its own")
            self._model = _able(model)
        else:
            raise SpecError(f"model is {type(model).__name__}: expected an address or a language model")

    @property
    def reads(self) -> frozenset[str]:
        """What `Facts.reads` must say: the context's model of that name, where it is one."""
        return model_reads(self._given)

    @property
    def identity(self) -> str | LanguageModel:
        """What the numbers depend on: the model's version, or a model without one; never where it is reached."""
        if self._name is not None:
            return f"{self._name}:"
        if isinstance(self._given, str) and self._given.startswith("openai:"):
            # The version that the model would have, read off its address: a fingerprint must not need a valid endpoint.
            name, _, query = self._given.partition("?")
            revision = parse_qs(query).get("revision", [""])[0]
            return name + (f"@{revision}" if revision else "")
        model = self._resolved()
        return model if model.version is None else model.version

    def resolve(self, context: Context) -> LanguageModel:
        """The model. Raises SpecError for an unknown address, ModelError when the context lacks it or it cannot write."""
        if self._name is not None:
            return _able(model_for(self._given, context))
        return self._resolved()

    def _resolved(self) -> LanguageModel:
        with self._lock:
            if self._model is None:
                self._model = _able(resolve(self._given) if isinstance(self._given, str) else self._given)
            return self._model


def _at(address: str, base_url: str) -> str:
    name, _, query = address.partition("?")
    if not name.startswith("openai:") or name == "openai:":
        raise SpecError(f"base_url goes with an address 'openai:NAME', got {name!r}")
    if "base_url" in parse_qs(query):
        raise SpecError("base_url is given twice: in the address and as a field")
    return f"{name}?{query}{'&' if query else ''}base_url={quote(base_url, safe=':/')}"


def _able(model: LanguageModel) -> LanguageModel:
    if "generate" not in model.abilities:
        raise ModelError(
            f"{model.address}: a judge needs the ability 'generate'; this model has: {', '.join(sorted(model.abilities))}"
        )
    return model
