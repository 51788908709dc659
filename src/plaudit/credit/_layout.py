"""From verdicts to the padded arrays that trainers take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.credit._group import GroupReport, Normalization, group_advantage
from plaudit.credit._implicit import process_advantage
from plaudit.credit._ragged import Bools, Floats, Ints, numbers, rows_of
from plaudit.errors import DataError
from plaudit.reward import Reward, leaves
from plaudit.text import token_spans, tokens_of_spans
from plaudit.types import Dense, Sample, Verdicts

Decode = Callable[[list[int]], str]
StepScheme = Callable[[Floats, Ints], Floats]


@dataclass(frozen=True, slots=True, eq=False)
class TokenArrays:
    """What a trainer takes: b responses, padded on the right to T tokens.

    Fields:
        rewards: (b, T) float64, 0 where a token has none.
        advantages: (b, T) float64, 0 outside the mask: never NaN.
        mask: (b, T) bool: the tokens to train on; none of a response that is not scored.
        report: what was found in the groups.
    """

    rewards: Floats
    advantages: Floats
    mask: Bools
    report: GroupReport


def token_layout(values: ArrayLike, offsets: ArrayLike, width: int | None = None, fill: float = 0.0) -> tuple[Floats, Bools]:
    """A ragged batch as a table, each row padded on the right.

    Args:
        values: (n,) of the tokens; NaN = none, `fill` and masked out. offsets: (b + 1,) where each response begins, and n.
        width: columns, as for a trainer's fixed length; None = the longest row.

    Returns (b, width) values and (b, width) bool: where there is one.

    Raises DataError for a row longer than `width` (with its number), infinite values and offsets that do not fit.

    Source: the response tensors of TRL and verl.

    >>> token_layout([1.0, 2.0, 3.0], [0, 2, 3])[0]
    array([[1., 2.], [3., 0.]])
    """
    array = numbers(values, "values")
    rows = rows_of(offsets, len(array))
    longest = int(rows.lengths.max(initial=0))
    if width is not None and width < longest:
        i = int(rows.lengths.argmax())
        raise DataError(
            f"row {i} has {longest} tokens, width is {width}: expected rows that fit; cut responses before scoring them"
        )
    table = np.full((rows.count, longest if width is None else width), np.nan)
    table[np.arange(table.shape[1]) < rows.lengths[:, None]] = array
    mask = ~np.isnan(table)
    return np.where(mask, table, fill), mask


def to_tokens(
    samples: Sequence[Sample],
    verdicts: Verdicts,
    reward: Reward,
    decode: Decode | None = None,
    *,
    steps: StepScheme | None = None,
    advantage: Literal["response", "tokens"] = "response",
    normalize: Normalization = "std",
    non_linear: Literal["refuse", "whole"] = "refuse",
    width: int | None = None,
) -> TokenArrays:
    """Rewards and advantages of tokens from verdicts, in the layout of TRL and verl.

    What a leaf placed inside the response (its `dense`) stands, times the leaf's weight, at the last token of each place; the
    rest of the value, which is the value less the weighted values of these leaves, at the response's last token. Where a leaf's
    places add up to its value, the tokens add up to the value of the whole.

    Args:
        samples: (b,) with `tokens` and `group`, and a response that is a text wherever places are counted in characters.
        verdicts: of `reward` on these samples. reward: the tree that made them.
        decode: from token ids to text, as the response was decoded; needed where places are counted in characters.
        steps: what makes rewards of the scores that a leaf placed, from (k,) scores and their offsets: `min_form`, `delta_steps`
            or another; None = the scores as they are: every good step more pays.
        advantage: ``"response"`` = `group_advantage` of the values, at every token (GRPO); ``"tokens"`` = `process_advantage` of
            the tokens' rewards: the return from each token on, less the others' reward a token.
        normalize: of ``"response"``. width: columns; None = the longest response.
        non_linear: a leaf with places under a minimum, product, gate or other non-linear operator has no weight: ``"refuse"``, or
            ``"whole"`` = its places are not used, and its part of the value stays at the last token.

    Returns the arrays; a response that is not scored has no token in the mask, and one without tokens enters nothing. A place
    that is not scored adds nothing, one without a token counts at the last.

    Raises DataError for samples without tokens or group, another number of verdicts, places outside the response, a text that
    the tokens do not decode to, and leaves with places that have no weight.

    Source: "DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models"; the response tensors of verl.

    >>> from plaudit.reward import reward
    >>> exact = reward(lambda response, reference: float(response == reference), range=(0, 1))
    >>> drawn = [Sample("1+1", text, "2", group="a", tokens=np.arange(len(text))) for text in ("2", "11")]
    >>> arrays = to_tokens(drawn, exact.score(drawn), exact, normalize="mean")
    >>> arrays.rewards, arrays.advantages
    (array([[1., 0.], [0., 0.]]), array([[ 0.5,  0. ], [-0.5, -0.5]]))
    """
    if advantage not in ("response", "tokens") or non_linear not in ("refuse", "whole"):
        raise DataError(f"advantage is {advantage!r}, non_linear {non_linear!r}: expected response or tokens, refuse or whole")
    if len(samples) != len(verdicts):
        raise DataError(f"{len(samples)} samples and {len(verdicts)} verdicts: expected a verdict for each")
    lengths = [_length(i, sample) for i, sample in enumerate(samples)]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    values = np.where(np.array(lengths) > 0, verdicts.values, np.nan)
    tokens = np.zeros(int(offsets[-1]))
    rest = values.copy()
    spans: dict[int, tuple[Ints, Ints]] = {}
    for leaf in leaves(reward):
        columns = leaf.of(verdicts)
        dense = columns.dense if columns.dense is not None else [None] * len(samples)
        placed = {i: places for i, places in enumerate(dense) if places is not None and not np.isnan(values[i])}
        if leaf.weight is None:
            if placed and non_linear == "refuse":
                raise DataError(
                    f"leaf {leaf.name!r} places rewards inside responses, under an operator that is no weighted sum: its weight "
                    "is not defined; take it out of the operator, or say non_linear='whole'"
                )
            continue
        scores = [places.values for places in placed.values()]
        edges = np.concatenate([[0], np.cumsum([len(column) for column in scores])]).astype(np.int64)
        given = np.concatenate([*scores, np.zeros(0)])
        rewards = numbers(given if steps is None else steps(given, edges), "what steps gave", length=len(given), of="score")
        for (i, places), own in zip(placed.items(), np.split(rewards, edges[1:-1]), strict=False):
            at = offsets[i] + _last_tokens(i, samples[i], places, lengths[i], decode, spans)
            np.add.at(tokens, at, leaf.weight * np.nan_to_num(own))
            rest[i] -= leaf.weight * np.nan_to_num(columns.values[i])
    known = ~np.isnan(values)
    tokens[offsets[1:][known] - 1] += rest[known]
    of = np.repeat(np.arange(len(samples)), lengths)
    tokens[~known[of]] = np.nan
    groups = [sample.group for sample in samples]
    by_response, report = group_advantage(values, groups, normalize)
    inside = by_response[of] if advantage == "response" else process_advantage(tokens, offsets, groups)[0]
    table, mask = token_layout(tokens, offsets, width)
    return TokenArrays(table, token_layout(inside, offsets, width)[0], mask, report)


def _length(i: int, sample: Sample) -> int:
    if sample.tokens is None:
        raise DataError(f"sample {i} has no tokens: expected the response's ids as sampled, in Sample.tokens")
    if sample.group is None:
        raise DataError(f"sample {i} has no group: expected the same label for all samples of a prompt, in Sample.group")
    return len(sample.tokens)


def _last_tokens(
    i: int, sample: Sample, dense: Dense, length: int, decode: Decode | None, spans: dict[int, tuple[Ints, Ints]]
) -> NDArray[np.int64]:
    """(k,) the token at which each place of a response ends."""
    if dense.level == "token":
        if len(dense.end) and int(dense.end.max()) > length:
            raise DataError(f"sample {i}: a place ends at token {int(dense.end.max())}, the response has {length}")
        return np.where(dense.end > dense.start, dense.end - 1, length - 1)
    if decode is None:
        raise DataError(f"sample {i} has places counted in characters: expected decode, from token ids to text")
    if not isinstance(sample.response, str) or dense.message is not None:
        raise DataError(f"sample {i} has places in messages: expected a response that is one text, or places counted in tokens")
    if i not in spans:
        spans[i] = token_spans(sample.tokens if sample.tokens is not None else [], decode, sample.response)
    first, behind = tokens_of_spans(dense.start, dense.end, *spans[i])
    return np.where(behind > first, behind - 1, length - 1)
