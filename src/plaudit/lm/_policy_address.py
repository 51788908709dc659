"""`policy:`: an address that means a model of the call's context, known only when something is scored."""

from __future__ import annotations

from plaudit.errors import ModelError, SpecError
from plaudit.lm._address import resolve
from plaudit.types import Context, LanguageModel


def context_name(address: str) -> str | None:
    """The name in `Context.models` that an address means; None = it names a model that can be resolved without a context.

    ``policy:`` is the model called "policy", ``policy:NAME`` the one called NAME, and so is every ``NAME:`` with nothing behind
    the colon.

    >>> context_name("policy:"), context_name("policy:reference"), context_name("teacher:"), context_name("hf:Qwen/Qwen3-0.6B")
    ('policy', 'reference', 'teacher', None)
    """
    scheme, colon, rest = address.partition(":")
    if not colon or not scheme:
        raise SpecError(f"model address {address!r}: expected SCHEME:NAME, for example 'openai:gpt-4o-mini', or 'policy:'")
    if not rest:
        return scheme
    return rest if scheme == "policy" else None


def model_reads(address: str | LanguageModel) -> frozenset[str]:
    """What `Facts.reads` must say for a reward with this model: ``models.NAME`` where the context has it, else nothing.

    >>> sorted(model_reads("policy:reference"))
    ['models.reference']
    """
    name = context_name(address) if isinstance(address, str) else None
    return frozenset() if name is None else frozenset((f"models.{name}",))


def model_for(address: str | LanguageModel, context: Context) -> LanguageModel:
    """The language model that an address means in this call: one of `Context.models`, or the one that `resolve` gives.

    Raises ModelError that names the model which the context lacks, SpecError for an address that means nothing.

    >>> model_for("policy:reference", Context())
    Traceback (most recent call last):
    plaudit.errors.ModelError: the model is 'policy:reference' and Context.models has no 'reference' (it has: none): ...
    """
    if not isinstance(address, str):
        return address
    name = context_name(address)
    if name is None:
        return resolve(address)
    model = context.models.get(name)
    if model is None:
        known = ", ".join(sorted(context.models)) or "none"
        raise ModelError(
            f"the model is {address!r} and Context.models has no {name!r} (it has: {known}): pass it in the context, or give an "
            "address such as 'openai:gpt-4o-mini'"
        )
    return model
