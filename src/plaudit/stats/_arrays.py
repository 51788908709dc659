"""How arrays come in: shapes checked, and a value that is not there never passed over in silence."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.errors import DataError

Floats = NDArray[np.float64]


def scored(*columns: ArrayLike) -> tuple[Floats, ...]:
    """The rows on which every column has a value: NaN (not scored) leaves its whole row out.

    The functions of this room raise on NaN. Leaving rows out changes what a number means, so the caller does it, here, and can
    say how many there were.

    Args:
        columns: (n,) arrays of one length.

    Raises DataError when the lengths differ.

    >>> scored([1.0, np.nan, 3.0], [0.0, 1.0, 1.0])
    (array([1., 3.]), array([0., 1.]))
    """
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    if not arrays:
        return ()
    same_length(*arrays)
    kept = ~np.isnan(np.vstack(arrays)).any(axis=0)
    return tuple(array[kept] for array in arrays)


def vector(values: ArrayLike, name: str = "values", least: int = 1, finite: bool = True) -> Floats:
    """(n,) float64 without NaN, and without infinities when `finite`. Raises DataError otherwise."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise DataError(f"{name} has shape {array.shape}: expected one dimension")
    if len(array) < least:
        raise DataError(f"{name} has {len(array)} values: expected at least {least}")
    _refuse_nan(array, name, finite)
    return array


def matrix(values: ArrayLike, name: str = "values") -> Floats:
    """(n,) or (n, k) finite float64, n >= 1. Raises DataError otherwise."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim not in (1, 2) or array.size == 0:
        raise DataError(f"{name} has shape {array.shape}: expected (n,) or (n, k), not empty")
    _refuse_nan(array, name, finite=True)
    return array


def booleans(values: ArrayLike, name: str) -> NDArray[np.bool_]:
    """(n,) of 0 and 1, or of booleans. Raises DataError for anything else."""
    array = vector(values, name)
    if not ((array == 0) | (array == 1)).all():
        raise DataError(f"{name} holds {float(array[(array != 0) & (array != 1)][0]):g}: expected 0 or 1 everywhere")
    return np.asarray(array == 1)


def same_length(*arrays: NDArray[np.generic]) -> None:
    """Raises DataError unless all have the length of the first."""
    lengths = [len(array) if array.ndim == 1 else -1 for array in arrays]
    if len(set(lengths)) > 1 or -1 in lengths:
        raise DataError(f"arrays of shapes {', '.join(str(array.shape) for array in arrays)}: expected vectors of one length")


def level_of(level: float) -> float:
    """A confidence level. Raises DataError unless it lies strictly between 0 and 1."""
    if not 0 < level < 1:
        raise DataError(f"level is {level}: expected a number between 0 and 1, as 0.95")
    return float(level)


def _refuse_nan(array: Floats, name: str, finite: bool) -> None:
    missing = int(np.isnan(array).sum())
    if missing:
        raise DataError(
            f"{name} has {missing} NaN (not scored) of {array.size}: leave them out with stats.scored, or say what they are"
        )
    if finite and not np.isfinite(array).all():
        raise DataError(f"{name} holds an infinity: expected finite numbers")
