"""Finding experiments: plaudit's own modules, and those that other packages name."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from plaudit import catalog
from plaudit.errors import SpecError
from plaudit.reproduce._experiment import Experiment

EXPERIMENTS = "plaudit.experiments"
"""The entry-point group in which other packages name a module of experiments, or one experiment."""


def find_experiments() -> dict[str, Experiment]:
    """Every experiment by name, in the order of its name.

    plaudit's own are in the modules of `plaudit.reproduce.experiments`. What another package names is warned about and left out
    when it cannot be imported. Raises SpecError when two have one name.

    >>> "step-checker-sees-wrong-steps" in find_experiments()
    True
    """
    from plaudit.reproduce import experiments as own

    found: list[Experiment] = []
    for module in pkgutil.iter_modules(own.__path__):
        found.extend(experiments_in(importlib.import_module(f"{own.__name__}.{module.name}")))
    for name in catalog.names(EXPERIMENTS):
        try:
            found.extend(_named(catalog.load(EXPERIMENTS, name)))
        except SpecError as error:
            warnings.warn(f"experiments {name!r} are left out: {error}", RuntimeWarning, stacklevel=2)
    by_name: dict[str, Experiment] = {}
    for each in found:
        other = by_name.setdefault(each.name, each)
        if other.function is not each.function:
            raise SpecError(f"two experiments are called {each.name!r}, in {other.module} and {each.module}: rename one of them")
    return dict(sorted(by_name.items()))


def experiments_in(module: ModuleType) -> list[Experiment]:
    """The experiments that a module defines; what it merely imported from another does not count."""
    return [each for each in vars(module).values() if isinstance(each, Experiment) and each.module == module.__name__]


def chosen(names: Iterable[str], known: dict[str, Experiment]) -> list[Experiment]:
    """The experiments that are called by name (``only-accurate-rewards-help``) or by the number of a system (``99``, ``[099]``).

    Each once, in the order in which they are named. Raises SpecError for a name or number that nothing answers to.
    """
    found: dict[str, Experiment] = {}
    for name in names:
        plain = name.strip().removeprefix("[").removesuffix("]")
        if plain.isdecimal() and plain.isascii() and len(plain) <= 6:
            matching = [each for each in known.values() if int(plain) in each.systems]
            if not matching:
                numbers = sorted({number for each in known.values() for number in each.systems})
                listed = ", ".join(map(str, numbers)) or "none"
                raise SpecError(f"no experiment checks system {int(plain)}; there are experiments for {listed}")
        else:
            key = plain.lower().replace("_", "-")
            if key not in known:
                raise SpecError(f"there is no experiment {name!r}{catalog.nearest(key, list(known))}")
            matching = [known[key]]
        found.update({each.name: each for each in matching})
    return list(found.values())


def _named(what: Any) -> list[Experiment]:
    if isinstance(what, Experiment):
        return [what]
    if isinstance(what, ModuleType):
        return experiments_in(what)
    raise SpecError(f"it names a {type(what).__name__}: expected a module, or a function under @experiment")
