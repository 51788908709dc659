"""The objects of the contract as HTML: what a notebook shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plaudit.errors import SpecError
from plaudit.report._cases import dense_of, details, part, text_of, tree
from plaudit.report._heat import heat_text
from plaudit.report._html import Html, disclosure, escape, long_text, paragraph, standalone
from plaudit.report._leaves import leaf_shares_of, leaf_table
from plaudit.report._pieces import reasons_table, sentence_of, status_mark, tiles
from plaudit.report._points import histogram
from plaudit.report._scale import number
from plaudit.report._table import fields, table
from plaudit.reward import Combinator, Configured, Explanation, Facts, Reward, leaves, use_name
from plaudit.types import Completion, Sample, Verdict, Verdicts

_ROWS = 10
_DEEPEST = 12


def render(thing: Any) -> str:
    """A Verdict, Verdicts, Reward, Comparator, Explanation, Sample or Completion as a fragment of HTML with its own style.

    The types find this function through the entry point ``html`` of the group ``plaudit.display``. Raises TypeError for
    anything else.

    >>> "0.5" in render(Verdict(0.5, explanation="half"))
    True
    """
    for kind, draw in _DRAWN.items():
        if isinstance(thing, kind):
            return standalone(draw(thing))
    raise TypeError(f"plaudit.report.render: {type(thing).__name__}: expected one of {', '.join(k.__name__ for k in _DRAWN)}")


def _verdict(v: Verdict) -> Html:
    big = number(v.value) if v.value is not None else v.status.value.upper()
    said = "" if v.reason is None else f"{v.reason}: {sentence_of(v.reason)}".rstrip(": ")
    parts = [f'<div class="head"><span class="big">{escape(big)}</span><span class="quiet">{escape(said)}</span></div>']
    if v.answer is not None:
        parts.append(part("Answer read", long_text(v.answer, 1500)))
    if v.explanation:
        parts.append(part("Explanation", long_text(v.explanation, 3000)))
    if v.parts:
        parts.append(part("Parts", tree(v)))
    for name, dense in list(dense_of(v))[:3]:
        # A verdict does not hold the text that its places are in.
        cells = [
            [k + 1, x, f"{a:,}–{b:,}"]
            for k, (x, a, b) in enumerate(zip(dense.values.tolist(), dense.start.tolist(), dense.end.tolist(), strict=True))
        ]
        unit = "tokens" if dense.level == "token" else "characters"
        title = f"{len(cells):,} {dense.level}s{f' of {name}' if name else ''}"
        parts.append(disclosure(title, table([dense.level, "value", unit], cells, limit=100, sortable=False)))
    return Html(f'<article class="case">{"".join(parts)}{details(v)}</article>')


def _verdicts(many: Verdicts) -> Html:
    head = tiles(
        [
            ("mean", number(many.mean())),
            ("scored", f"{many.n_scored:,}"),
            ("abstained", f"{many.n_abstained:,}"),
            ("failed", f"{many.n_failed:,}", "bad" if many.n_failed else ""),
        ]
    )
    counts: dict[tuple[str, str | None], int] = {}
    for status, reason in zip(many.status.tolist(), many.reason, strict=True):
        counts[status, reason] = counts.get((status, reason), 0) + 1
    shown = [
        [i, v.value, status_mark(v.status.value), v.reason, v.answer, *_part_values(v, many)] for i, v in enumerate(many[:_ROWS])
    ]
    columns = ["row", "value", "status", "reason", "answer", *many.parts]
    blocks = [head, histogram(many.values, "Values") if len(many) else ""]
    if many.parts:
        blocks.append(leaf_table(leaf_shares_of(many), "Parts"))
    if len(counts) > 1:
        blocks.append(reasons_table(counts, "Reasons"))
    caption = f"The first {_ROWS} of {len(many):,} rows" if len(many) > _ROWS else "Rows"
    blocks.append(table(columns, shown, caption=caption, sortable=False))
    if many.stamp:
        blocks.append(paragraph(f"Said by {many.stamp}", "quiet"))
    return Html("".join(blocks))


def _part_values(verdict: Verdict, many: Verdicts) -> list[float | None]:
    return [verdict.parts[name].value for name in many.parts]


def _configured(thing: Configured) -> Html:
    facts = thing.facts
    weighted = [leaf for leaf in leaves(thing) if leaf.weight is not None] if isinstance(thing, Reward) else []
    pairs = {
        "use": use_name(thing) if isinstance(thing, Reward) else None,
        "range": _bounds(facts),
        "scope": facts.scope if facts.scope != "sample" else None,
        "lane": facts.lane,
        "reads": ", ".join(sorted(facts.reads)),
        "version": facts.version if not isinstance(thing, Combinator) else None,
        "weights": ", ".join(f"{leaf.name} {number(leaf.weight)}" for leaf in weighted) if len(weighted) > 1 else None,
        "fingerprint": Html(f"<code>{escape(thing.fingerprint)}</code>"),
    }
    blocks = [f'<div class="head"><span class="big">{escape(thing.name)}</span></div>', fields(pairs)]
    if isinstance(thing, Combinator):
        blocks.append(part("Tree", Html(f'<ul class="tree root">{_branch(thing, thing.name, None, 0)}</ul>')))
    try:
        blocks.append(
            disclosure("Spec", Html(f"<pre>{long_text(thing.to_yaml())}</pre>"), opened=not isinstance(thing, Combinator))
        )
    except SpecError as error:  # a function written in a notebook has none; it works all the same
        blocks.append(paragraph(f"It has no spec: {error}", "quiet"))
    return Html(f'<article class="case">{"".join(blocks)}</article>')


def _branch(reward: Reward, name: str, weight: float | None, depth: int) -> str:
    from plaudit.reward import Named

    while isinstance(reward, Named):
        reward = reward.reward
    use = use_name(reward)
    notes = [f"× {number(weight)}" if weight is not None else "", f"[{use}]" if use != name else "", _bounds(reward.facts)]
    below = ""
    if isinstance(reward, Combinator) and depth < _DEEPEST:
        weights: Mapping[str, float] = reward.linear_weights() or {}
        inner = (_branch(operand, n, weights.get(n), depth + 1) for n, operand in reward.operands().items())
        below = f'<ul class="tree">{"".join(inner)}</ul>'
    return f'<li><b>{escape(name)}</b><span class="quiet">{escape(" ".join(n for n in notes if n))}</span>{below}</li>'


def _bounds(facts: Facts) -> str:
    if facts.range is None:
        return "range undeclared"
    low, high = facts.range
    return f"{'(' if low == -float('inf') else '['}{number(low)}, {number(high)}{')' if high == float('inf') else ']'}"


def _explanation(node: Explanation) -> Html:
    return Html(f'<ul class="tree root">{_explained(node, 0)}</ul>')


def _explained(node: Explanation, depth: int) -> str:
    v = node.verdict
    shown = number(v.value) if v.value is not None else status_mark(v.status.value)
    notes = [
        f"× {number(node.weight)}" if node.weight is not None else "",
        f"({node.share:.0%})" if node.share is not None else "",
        f"[{node.use}]" if node.use != node.name else "",
        v.reason or "",
        f"read {v.answer[:80]!r}" if v.answer and not node.parts else "",
        (v.explanation or "")[:300],
    ]
    inner = "".join(_explained(p, depth + 1) for p in node.parts) if depth < _DEEPEST else ""
    below = f'<ul class="tree">{inner}</ul>' if inner else ""
    quiet = f'<span class="quiet">{escape(" ".join(n for n in notes if n))}</span>'
    return f"<li>{escape(node.name)} = <b>{escape(shown)}</b>{quiet}{below}</li>"


def _sample(sample: Sample) -> Html:
    pairs = {"id": sample.id, "group": sample.group, "finish": sample.finish, "columns": ", ".join(sample.meta) or None}
    tokens = f"{len(sample.tokens):,}" if sample.tokens is not None else None
    reference = part("Reference", long_text(str(sample.reference), 600)) if sample.reference is not None else ""
    texts = [part("Prompt", text_of(sample.prompt, 3000)), part("Response", text_of(sample.response, 6000))]
    return Html(f'<article class="case">{"".join(texts)}{reference}{fields({**pairs, "tokens": tokens})}</article>')


def _completion(completion: Completion) -> Html:
    thought = part("Thinking", long_text(completion.reasoning, 3000)) if completion.reasoning else ""
    finish = fields({"finish": completion.finish})
    return Html(f'<article class="case">{thought}{part("Completion", long_text(completion.text, 6000))}{finish}</article>')


_DRAWN: dict[type, Any] = {
    Verdict: _verdict,
    Verdicts: _verdicts,
    Configured: _configured,
    Explanation: _explanation,
    Sample: _sample,
    Completion: _completion,
}


def heat_of(sample: Sample, verdict: Verdict) -> Html:
    """Every dense reward of a verdict on its sample's response.

    >>> from plaudit.types import Dense
    >>> "step" in heat_of(Sample("p", "a b"), Verdict(1.0, dense=Dense("step", [1.0], [0], [3])))
    True
    """
    maps = list(dense_of(verdict))
    if not maps:
        return paragraph("This verdict holds no dense reward.", "quiet")
    return Html("".join(heat_text(sample, dense, title=name) for name, dense in maps))
