"""Single rows as a reader wants to see them: prompt, response with its rewards, what was read, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from plaudit.report._heat import heat_text
from plaudit.report._html import Html, disclosure, escape, long_text
from plaudit.report._pieces import sentence_of, status_mark
from plaudit.report._scale import number
from plaudit.report._table import fields
from plaudit.text import message_text
from plaudit.types import Dense, Message, Sample, Verdict

PROMPT, RESPONSE = 1500, 6000
_DEEPEST = 20


def case(
    row: Mapping[str, Any], sample: Sample | None, verdict: Verdict | None = None, token_text: Any = None
) -> Html:  # fmt: skip
    """One row of a run.

    Args:
        row: its columns: id, value, status, reason, answer, explanation.
        sample: its prompt and response; None = the data file is not there.
        verdict: what judging it once more gave: parts and dense rewards.
        token_text: (T,) the text of each token, for dense rewards on tokens.
    """
    value, status = row.get("value"), str(row.get("status"))
    big = number(float(value)) if isinstance(value, int | float) else status.upper()
    reason = row.get("reason")
    said = "" if reason is None else f"{reason}: {sentence_of(reason)}".rstrip(": ")
    head = (
        f'<div class="head"><span class="big">{escape(big)}</span><span class="id">{escape(str(row.get("id"))[:200])}</span>'
        f'<span class="quiet">{escape(said)}</span></div>'
    )
    parts: list[str] = []
    aside: list[str] = []
    if verdict is not None and verdict.value is not None and isinstance(value, int | float) and verdict.value != value:
        parts.append(f'<p class="warning">Judged again, the value is {escape(number(verdict.value))}.</p>')
    if sample is not None:
        parts.append(part("Prompt", text_of(sample.prompt, PROMPT)))
        parts += _response(sample, verdict, token_text)
        if sample.reference is not None:
            aside.append(part("Reference", long_text(_as_text(sample.reference), 600)))
    for name in ("answer", "explanation"):
        if row.get(name):
            aside.append(part({"answer": "Answer read"}.get(name, "Explanation"), long_text(str(row[name]), 1500)))
    if verdict is not None and verdict.parts:
        aside.append(part("Parts", tree(verdict)))
    columns = f"<div>{''.join(parts)}</div>" * bool(parts) + f"<div>{''.join(aside)}</div>" * bool(aside)
    two = " two" if parts and aside else ""
    return Html(f'<article class="case">{head}<div class="body{two}">{columns}</div></article>')


def part(name: str, content: Html) -> Html:
    """A named part of a case."""
    return Html(f'<div class="part"><span class="what">{escape(name)}</span>{content}</div>')


def text_of(value: str | Any, limit: int) -> Html:
    """A prompt or response as text; of a chat, each message with its role."""
    if isinstance(value, str):
        return long_text(value, limit) if value else Html('<span class="cut">empty</span>')
    left, parts = limit, []
    for message in value:
        text = _whole_message(message)
        shown = long_text(text, max(left, 0))
        left -= len(text)
        parts.append(f'<div class="message"><span class="role">{escape(str(message["role"]))}</span>{shown}</div>')
    return Html("".join(parts))


def _whole_message(message: Message) -> str:
    try:
        text = message_text(message)
    except ValueError as error:  # a row of anybody's file: what cannot be read is said, not fatal to the report
        text = f"[{error}]"
    thought = message.get("reasoning_content") or message.get("reasoning")
    head = f"[thinking] {thought}\n" if isinstance(thought, str) and thought else ""
    calls = message.get("tool_calls")
    tail = f"\n[tool calls] {_as_text(calls)}" if calls else ""
    return head + text + tail


def _response(sample: Sample, verdict: Verdict | None, token_text: Any) -> Iterator[str]:
    maps = list(dense_of(verdict)) if verdict is not None else []
    drawn = 0
    for name, dense in maps[:4]:
        try:
            title = f"Response, {dense.level}s judged by {name}" if name else f"Response, {dense.level} by {dense.level}"
            inner = heat_text(sample, dense, limit=RESPONSE, token_text=token_text)
        except ValueError as error:
            yield part("Response", Html(f'<p class="warning">Its dense reward cannot be drawn: {escape(str(error))}</p>'))
            continue
        drawn += 1
        yield part(title, inner)
    if not drawn:
        yield part("Response", text_of(sample.response, RESPONSE // 2))


def dense_of(verdict: Verdict, path: str = "", depth: int = 0) -> Iterator[tuple[str, Dense]]:
    """The dense rewards in a verdict and its parts, with the dotted name of the part that holds each."""
    if verdict.dense is not None and len(verdict.dense.values):
        yield path, verdict.dense
    if depth < _DEEPEST:
        for name, inner in verdict.parts.items():
            yield from dense_of(inner, f"{path}.{name}" if path else name, depth + 1)


def tree(verdict: Verdict, depth: int = 0) -> Html:
    """The parts of a verdict as a list in lists."""
    items = []
    for name, inner in verdict.parts.items():
        below = tree(inner, depth + 1) if inner.parts and depth < _DEEPEST else ""
        shown = number(inner.value) if inner.value is not None else status_mark(inner.status.value)
        notes = [inner.reason or "", f"read {inner.answer[:80]!r}" if inner.answer else "", (inner.explanation or "")[:300]]
        note = " · ".join(n for n in notes if n)
        quiet = f'<span class="quiet">{escape(note)}</span>' if note else ""
        items.append(f"<li>{escape(name)} = <b>{escape(shown)}</b>{quiet}{below}</li>")
    return Html(f'<ul class="tree{" root" if depth == 0 else ""}">{"".join(items)}</ul>')


def details(verdict: Verdict) -> Html:
    """What a verdict holds besides its value: deviation, confidence, cost, details."""
    cost = verdict.cost
    spent = [
        f"{number(cost.seconds, 3)} s" if cost.seconds else "", f"{cost.calls:,} calls" if cost.calls else "",
        f"{cost.tokens:,} tokens" if cost.tokens else "", f"{number(cost.money)} spent" if cost.money else "",
    ]  # fmt: skip
    pairs = {
        "standard deviation": verdict.std,
        "confidence": verdict.confidence,
        "cost": ", ".join(s for s in spent if s) or None,
        "dense": f"{len(verdict.dense.values):,} {verdict.dense.level}s" if verdict.dense is not None else None,
    }
    shown = fields(pairs) if any(v is not None for v in pairs.values()) else Html()
    if verdict.details:
        shown = Html(shown + disclosure("Details", Html(f"<pre>{long_text(_as_text(dict(verdict.details)), 4000)}</pre>")))
    return shown


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, indent=1, default=str)
    except (TypeError, ValueError, RecursionError):
        return repr(value)[:5000]
