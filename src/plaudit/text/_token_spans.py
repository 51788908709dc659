"""Which characters each sampled token wrote, and which tokens wrote a span of characters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.errors import DataError

Ints = NDArray[np.int64]

LONGEST_PENDING = 16
"""Tokens after which a character that does not complete (bytes that are no text) is not waited for; the longest has 4 bytes."""

REPLACEMENT = "\ufffd"


def token_spans(
    ids: Sequence[int] | NDArray[np.integer], decode: Callable[[list[int]], str], text: str | None = None
) -> tuple[Ints, Ints]:
    """The characters that each token of a response wrote, by decoding the sampled ids piece by piece.

    The text is never tokenised again: a model may write a text in other tokens than its tokenizer would. A character whose
    bytes come from several tokens belongs to each of them. A token that writes nothing (a special one that is skipped) has an
    empty span.

    Args:
        ids: (T,) token ids as sampled.
        decode: from ids to text, such as ``lambda ids: tokenizer.decode(ids, skip_special_tokens=True)``; bytes that are no
            complete character must come out as U+FFFD.
        text: the response as rewards saw it; None = not checked.

    Returns (T,) start and (T,) end in characters, half-open; neither ever decreases, and together they cover the decoded text.

    Raises DataError when the decoded text is not `text`, with the first character at which they part.

    >>> letters = {0: "Hi", 1: " there", 2: ""}
    >>> token_spans([0, 1, 2], lambda ids: "".join(letters[i] for i in ids), "Hi there")
    (array([0, 2, 8]), array([2, 8, 8]))
    """
    tokens = [int(i) for i in ids]
    start, end = np.zeros(len(tokens), np.int64), np.zeros(len(tokens), np.int64)
    pieces: list[str] = []
    written = context = begun = 0  # characters of finished runs; first token of the run before; first token of this one
    known, pending = 0, False  # complete characters of this run, and whether one more has begun
    before, piece = "", ""
    for t in range(len(tokens)):
        # The run before gives the context in which a tokenizer decides on a leading space.
        piece = decode(tokens[context : t + 1])[len(before) :]
        # A character that is U+FFFD by itself looks like one that has begun, until more follows it unchanged; read alone, a token
        # that had a part in it has one character more than one that had none.
        if pending and len(piece) > known + 1 and piece[known] == REPLACEMENT and len(decode([tokens[t]])) < len(piece) - known:
            known += 1
        start[t] = written + known
        pending = piece.endswith(REPLACEMENT)
        known = max(known, len(piece) - pending)
        end[t] = written + known + pending
        if not pending or t - begun >= LONGEST_PENDING:
            pieces.append(piece)
            written, known, pending = written + len(piece), 0, False
            context, begun = begun, t + 1
            before, piece = decode(tokens[context:begun]), ""
    pieces.append(piece)
    if text is not None:
        _same("".join(pieces), text)
    return start, end


def tokens_of_spans(start: ArrayLike, end: ArrayLike, token_start: ArrayLike, token_end: ArrayLike) -> tuple[Ints, Ints]:
    """The tokens that wrote any character of each span.

    Args:
        start, end: (k,) spans in characters, half-open. token_start, token_end: (T,) from `token_spans`.

    Returns (k,) first token and (k,) the one behind the last; equal for an empty span.

    Raises DataError for a span that ends before it starts, or outside the text (with its number).

    >>> tokens_of_spans([1, 2], [4, 2], [0, 2, 8], [2, 8, 8])
    (array([0, 1]), array([2, 1]))
    """
    begin, stop, first, last = (np.asarray(x, np.int64) for x in (start, end, token_start, token_end))
    if begin.shape != stop.shape or begin.ndim != 1 or first.shape != last.shape or first.ndim != 1:
        shapes = ", ".join(str(x.shape) for x in (begin, stop, first, last))
        raise DataError(f"start, end, token_start, token_end have shapes {shapes}: expected (k,), (k,), (T,), (T,)")
    length = int(last.max(initial=0))
    bad = np.flatnonzero((begin < 0) | (stop < begin) | (stop > length))
    if bad.size:
        k = int(bad[0])
        raise DataError(f"span {k} is {begin[k]} to {stop[k]}: expected one inside the text of {length} characters")
    found = np.searchsorted(last, begin, "right").astype(np.int64)
    behind = np.searchsorted(first, stop, "left").astype(np.int64)
    return found, np.where(begin == stop, found, np.maximum(found, behind))


def _same(decoded: str, text: str) -> None:
    if decoded != text:
        at = next((i for i, (a, b) in enumerate(zip(decoded, text, strict=False)) if a != b), min(len(decoded), len(text)))
        raise DataError(
            f"the tokens decode to {decoded[at : at + 20]!r} from character {at} on, the text has {text[at : at + 20]!r}: "
            "expected the same; decode as the response was decoded (special tokens, spaces)"
        )
