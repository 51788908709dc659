"""What a head reads of n responses: numbers of each token, numbers of each whole response, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class FeatureRows:
    """Features of n responses.

    Fields:
        tokens: (t, d) float32, the tokens of all responses one behind another; d = 0 where the features know no tokens.
        lengths: (n,) int64 tokens of each response; their sum is t.
        whole: (n, p) float32, what is known of each response as a whole; p may be 0.

    Raises ValueError when the shapes do not fit each other.

    >>> rows = FeatureRows.of_vectors(np.ones((3, 4), np.float32))
    >>> len(rows), rows.vectors().shape
    (3, (3, 4))
    """

    tokens: NDArray[np.float32]
    lengths: NDArray[np.int64]
    whole: NDArray[np.float32]

    def __post_init__(self) -> None:
        n = len(self.lengths)
        if self.tokens.ndim != 2 or self.whole.ndim != 2 or self.lengths.ndim != 1:
            raise ValueError("FeatureRows: expected tokens (t, d), lengths (n,) and whole (n, p)")
        if len(self.whole) != n or int(self.lengths.sum()) != len(self.tokens):
            raise ValueError(
                f"FeatureRows: {n} lengths that sum to {int(self.lengths.sum())}, {len(self.tokens)} tokens, "
                f"{len(self.whole)} rows of whole responses"
            )

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def widths(self) -> tuple[int, int]:
        """(d, p): numbers of a token, numbers of a whole response."""
        return self.tokens.shape[1], self.whole.shape[1]

    @property
    def starts(self) -> NDArray[np.int64]:
        """(n,) where each response's tokens begin."""
        starts: NDArray[np.int64] = np.cumsum(self.lengths) - self.lengths
        return starts

    @classmethod
    def of_vectors(cls, vectors: NDArray[np.floating]) -> FeatureRows:
        """Rows of features that know whole responses only, from an (n, p) array."""
        whole = np.ascontiguousarray(vectors, dtype=np.float32)
        return cls(np.zeros((0, 0), np.float32), np.zeros(len(whole), np.int64), whole)

    def vectors(self) -> NDArray[np.float32]:
        """(n, d + p): the mean over each response's tokens (0 without tokens), and what is known of the whole."""
        d = self.widths[0]
        means = np.zeros((len(self), d), np.float32)
        filled = self.lengths > 0
        if d and filled.any():
            # In float64: the sum over a long response must not depend on where in the array it stands.
            sums = np.add.reduceat(self.tokens, self.starts[filled], axis=0, dtype=np.float64)
            means[filled] = (sums / self.lengths[filled, None]).astype(np.float32)
        return np.concatenate([means, self.whole], axis=1)

    def take(self, rows: Sequence[int] | NDArray[np.integer]) -> FeatureRows:
        """The responses of these places, in this order."""
        places = np.asarray(rows, dtype=np.int64)
        lengths = self.lengths[places]
        return FeatureRows(self.tokens[token_places(self.starts[places], lengths)], lengths, self.whole[places])


def token_places(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places of the tokens of some responses, one response behind another.

    >>> token_places(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    total = int(lengths.sum())
    begin = np.cumsum(lengths) - lengths
    places: NDArray[np.int64] = np.arange(total, dtype=np.int64) + np.repeat(starts - begin, lengths)
    return places


def concatenate_rows(parts: Sequence[FeatureRows]) -> FeatureRows:
    """Rows one behind another; at least one part."""
    return FeatureRows(
        np.concatenate([part.tokens for part in parts]),
        np.concatenate([part.lengths for part in parts]),
        np.concatenate([part.whole for part in parts]),
    )
