"""The cache and the workers that a command scores with."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plaudit.cli._console import warn
from plaudit.errors import RunError

if TYPE_CHECKING:
    from plaudit.reward import Reward


def default_cache() -> Path:
    """Where verdicts are kept when nobody says: PLAUDIT_CACHE, else ``plaudit/verdicts.sqlite`` in the user's cache folder."""
    said = os.environ.get("PLAUDIT_CACHE")
    if said:
        return Path(said).expanduser()
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home) / "plaudit" / "verdicts.sqlite"


@contextmanager
def resources(reward: Reward, *, workers: int | None, cache: str | None, no_cache: bool) -> Iterator[None]:
    """Score inside with these workers and this cache; a default cache that cannot be used is only warned about.

    Raises RunError when a cache that was named cannot be used.
    """
    from plaudit.reward import leaves
    from plaudit.run import CpuPool, VerdictCache, using

    lanes = {leaf.reward.facts.lane for leaf in leaves(reward)}
    changes: dict[str, Any] = {}
    with ExitStack() as stack:
        if workers is not None and "cpu" in lanes:
            changes["pool"] = stack.enter_context(CpuPool(workers=workers))
        # Verdicts of the inline lane are not kept: computing them takes no longer than looking them up.
        if not no_cache and lanes != {"inline"}:
            try:
                changes["cache"] = stack.enter_context(VerdictCache(default_cache() if cache is None else Path(cache)))
            except RunError as error:
                if cache is not None:
                    raise
                warn(f"{error}; going on without a cache")
        with using(**changes):
            yield


def show_warnings() -> None:
    """Warnings from now on are a line on standard error, each once."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        warn(str(message))

    warnings.simplefilter("once", UserWarning)
    # Ctrl-C may come between making a coroutine and starting it; there is nothing to mend.
    warnings.filterwarnings("ignore", r"coroutine .* was never awaited", RuntimeWarning)
    warnings.showwarning = show
