"""Reward functions written for TRL, verl and OpenRLHF, loaded unchanged: each is called as its own trainer calls it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from plaudit.errors import ContractError
from plaudit.reward._foreign_openrlhf import OpenRlhfFunction
from plaudit.reward._foreign_trl import TrlFunction, TrlFunctionAsync
from plaudit.reward._foreign_verl import VerlFunction, VerlFunctionAsync, VerlFunctionBatch, VerlFunctionBatchAsync
from plaudit.reward._function import Function


def make_foreign(function: Callable[..., Any], **facts: Any) -> Function:
    """The reward of a function written for the trainer that ``style`` names. Raises ContractError where facts do not fit it."""
    style, batch = facts["style"], bool(facts.get("batch", False))
    is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
    lane = facts.get("lane") or ("io" if is_async else "inline")
    where = f"@reward(style={style!r})"
    if is_async and style == "openrlhf":
        raise ContractError(f"{where}: OpenRLHF calls plain functions; an async one is never awaited there")
    if is_async != (lane == "io"):
        raise ContractError(
            f"{where}: lane {lane!r} and {'an async' if is_async else 'a plain'} function: async lives on the io lane"
        )
    if batch and style == "openrlhf":
        raise ContractError(f"{where}: OpenRLHF calls a function with lists of length one; leave batch out")
    as_lists = batch or style == "trl"
    if not as_lists and (facts.get("scope", "sample") != "sample" or lane == "gpu"):
        raise ContractError(
            f"{where}: scope {facts.get('scope', 'sample')!r} on lane {lane!r} needs a function that is called with lists: "
            "style trl, or verl with batch=True"
        )
    kinds: dict[tuple[str, bool], tuple[type[Function], type[Function] | None]] = {
        ("trl", True): (TrlFunction, TrlFunctionAsync),
        ("verl", False): (VerlFunction, VerlFunctionAsync),
        ("verl", True): (VerlFunctionBatch, VerlFunctionBatchAsync),
        ("openrlhf", False): (OpenRlhfFunction, None),
    }
    if (style, as_lists) not in kinds:
        raise ContractError(f"{where}: unknown style; known: plaudit, trl, verl, openrlhf")
    plain, awaited = kinds[style, as_lists]
    kind = awaited if is_async and awaited is not None else plain
    return kind(function, **{**facts, "lane": lane})
