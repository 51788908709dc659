"""Samples out of the rows of a file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from plaudit.records._conversations import prompt_of, split_messages, split_pair, steps_of
from plaudit.records._decode import kind_of, shape_of
from plaudit.records._fields import PerCandidate, group_size_of, tools_of
from plaudit.records._groups import group_digest
from plaudit.records._ids import Ids
from plaudit.records._layout import Fields, Layout, label, messages, text_or_messages
from plaudit.records._rejected import OnReject, RowError, refuse, rejected
from plaudit.records._source import Format, Source, open_source
from plaudit.types import Sample

_NO_COLUMNS: Mapping[str, Any] = {}


class Row(NamedTuple):
    """A sample with its place in the file.

    Fields:
        sample: the sample; `id` and `group` are always set.
        row: its number among all samples of the file, from 0: the same on every reading of the same bytes.
        line: line (JSON lines) or row (Parquet, JSON array) it stands on, from 1.
        candidate: its number among the candidates of that line; None = the line holds one response.
    """

    sample: Sample
    row: int
    line: int
    candidate: int | None


def read_samples(
    path: str | os.PathLike[str],
    *,
    columns: Mapping[str, str] | None = None,
    on_reject: OnReject | None = None,
    format: Format | None = None,
    step_separator: str = "\n",
    max_row_mb: float = 256.0,
) -> Iterator[Row]:
    """Read samples one by one from JSON lines, a JSON array (both also gzip) or Parquet; ``-`` is the standard input.

    Columns are TRL's: `prompt` with `completion` (or `response`), or with `completions`: N candidates with ids ``ROW/K``, or one
    stepwise response when `labels` is there too (steps joined by `step_separator`; steps and labels stay in `meta`). `messages`
    is a chat whose response is everything after the last user message. `chosen` and `rejected` are two candidates, told apart
    by ``meta["label"]``. The reference is `reference`, `answer`, `solution`, `ground_truth` or `reward_model.ground_truth`. Also
    `tokens`, `logprobs`, `tools`, `finish`, `group_size`; every other column goes to `meta`. A missing `id` is the line's number,
    a missing `group` the digest of the prompt.

    `columns` says where a field stands under another name: ``{"prompt": "question", "completion": "output.text"}``. A row that
    cannot be used goes to `on_reject` and reading goes on; without `on_reject` it raises DataError. DataError is also raised
    for a file that is missing, empty, unreadable or of unknown format.

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "answers.jsonl")
    ...     _ = path.write_text('{"prompt": "2+2?", "completions": ["4", "5"], "answer": "4"}\\n')
    ...     [(row.sample.id, row.sample.response, row.sample.reference) for row in read_samples(path)]
    [('1/0', '4', '4'), ('1/1', '5', '4')]
    """
    source = open_source(path, format, max_row_mb)
    return _rows(source, _Builder(Layout(columns), step_separator), on_reject or refuse)


def _rows(source: Source, builder: _Builder, on_reject: OnReject) -> Iterator[Row]:
    number = 0
    for line, row, wrong, raw in source:
        try:
            if row is None:
                raise wrong or RowError(None, "cannot be read")
            samples = builder.samples(row, line)
        except RowError as error:
            on_reject(rejected(source.path, line, row, error, raw))
            continue
        if isinstance(samples, Sample):
            yield Row(samples, number, line, None)
            number += 1
        else:
            for k, sample in enumerate(samples):
                yield Row(sample, number, line, k)
                number += 1


class _Found(NamedTuple):
    """The responses of a row: `many` says whether they are candidates, `extra` holds columns of each."""

    prompt: Any
    responses: list[Any]
    name: str
    many: bool = False
    extra: tuple[Mapping[str, Any], ...] = ()


class _Builder:
    """Turns rows into samples; remembers ids and the last prompt's digest."""

    def __init__(self, layout: Layout, step_separator: str) -> None:
        self._layout = layout
        self._separator = step_separator
        self._ids = Ids()
        self._last: tuple[Any, str] = ("", group_digest(""))

    def samples(self, row: dict[str, Any], line: int) -> Sample | list[Sample]:
        """One sample, or the candidates of a row. Raises RowError."""
        plan = self._layout.plan(row)
        if plan.simple is not None:
            prompt, completion, reference, id_ = plan.simple
            asked, response = row[prompt], row[completion]
            if asked is not None and response is not None:
                if type(asked) is not str:
                    asked = prompt_of(asked, prompt)
                if type(response) is not str:
                    response = text_or_messages(completion, response)
                name = self._ids.claim(label(id_, row[id_]) if id_ else None, line)
                meta = {name: row[name] for name in plan.rest} if plan.rest else _NO_COLUMNS
                gold = row[reference] if reference else None
                return Sample(asked, response, gold, name, self._digest(asked), None, None, None, (), None, meta)
        return self._general(Fields(row, plan), row, line)

    def _digest(self, prompt: Any) -> str:
        if prompt != self._last[0]:
            self._last = (prompt, group_digest(prompt))
        return self._last[1]

    def _general(self, fields: Fields, row: dict[str, Any], line: int) -> Sample | list[Sample]:
        found = self._responses(fields, row)
        n = len(found.responses)
        reference, said = fields.take("reference"), label(fields.name("id"), fields.take("id"))
        group, group_size, tools = label(fields.name("group"), fields.take("group")), group_size_of(fields), tools_of(fields)
        placed = PerCandidate(fields, n if found.many else None)
        tokens = [placed.tokens(k) for k in range(n)]
        logprobs = [placed.logprobs(k, tokens[k]) for k in range(n)]
        finish = [placed.finish(k) for k in range(n)]
        responses = [_response(found, k, finish[k]) for k in range(n)]
        meta = fields.meta()
        group = group or self._digest(found.prompt)
        names = self._ids.claim_many(said, line, n) if found.many else [self._ids.claim(said, line)]
        samples = [
            Sample(
                found.prompt, responses[k], reference, names[k], group, group_size, tokens[k], logprobs[k], tools, finish[k],
                {**found.extra[k], **meta} if found.extra else meta,
            )
            for k in range(n)
        ]  # fmt: skip
        return samples if found.many else samples[0]

    def _responses(self, fields: Fields, row: dict[str, Any]) -> _Found:
        """Where the responses of a row stand, in the order in which the columns count. Raises RowError."""
        if fields.has("completion"):
            prompt, response = _prompt(fields, row), fields.take("completion")
            return _Found(prompt, [response], fields.name("completion"))
        if fields.has("completions"):
            return self._completions(fields, row)
        if fields.has("chosen", "rejected"):
            names = (fields.name("prompt"), fields.name("chosen"), fields.name("rejected"))
            pair = split_pair(fields.take("prompt"), fields.take("chosen"), fields.take("rejected"), names)
            if not pair.prompt_used:
                fields.give_back("prompt")
            return _Found(pair.prompt, [pair.chosen, pair.rejected], "chosen", True, ({"label": True}, {"label": False}))
        if fields.has("messages"):
            return _chat(fields)
        if fields.peek("finish") == "error":  # the rollout broke before there was a response
            return _Found(_prompt(fields, row), [None], "completion")
        raise RowError(
            "completion",
            "there is no response: expected a column 'completion' (or 'completions', 'messages', 'chosen' and 'rejected'); "
            f"the row has {shape_of(row)}; columns={{'completion': NAME}} says which column it is",
        )

    def _completions(self, fields: Fields, row: dict[str, Any]) -> _Found:
        prompt, value = _prompt(fields, row), fields.take("completions")
        name = fields.name("completions")
        if fields.has("labels"):
            steps = steps_of(name, value, fields.take("labels"), fields.name("labels"))
            fields.give_back("completions")
            fields.give_back("labels")
            return _Found(prompt, [self._separator.join(steps)], name)
        if type(value) is not list or not value:
            what = "is an empty list" if value == [] else f"holds {kind_of(value)}"
            raise RowError(name, f"{what}: expected a list of responses")
        return _Found(prompt, value, name, many=True)


def _prompt(fields: Fields, row: dict[str, Any]) -> Any:
    value = fields.take("prompt")
    if value is None:
        raise RowError(
            "prompt",
            f"the column is missing or null; the row has {shape_of(row)}; columns={{'prompt': NAME}} says which column it is",
        )
    return prompt_of(value, fields.name("prompt"))


def _response(found: _Found, k: int, finish: Any) -> Any:
    """Response k as text or messages; null is an empty response where the rollout itself failed. Raises RowError."""
    value = found.responses[k]
    if value is None and finish == "error":
        return ""
    return text_or_messages(f"{found.name}[{k}]" if found.many else found.name, value)


def _chat(fields: Fields) -> _Found:
    """A whole chat; a prompt column that is how it begins says where the prompt ends, any other stays in `meta`."""
    name = "messages"
    chat, start = messages(name, fields.take(name)), fields.take("prompt")
    if type(start) is list and start and start == chat[: len(start)] and len(start) < len(chat):
        return _Found(start, [chat[len(start) :]], name)
    fields.give_back("prompt")
    prompt, response = split_messages(name, chat)
    return _Found(prompt, [response], name)
