"""Exact factors between units of one kind, for the units whose standard names `_units` knows."""

from __future__ import annotations

from fractions import Fraction

_FACTORS: dict[str, dict[str, Fraction | int]] = {
    "length": {
        "m": 1, "cm": Fraction(1, 100), "mm": Fraction(1, 1000), "km": 1000, "inch": Fraction(254, 10_000),
        "ft": Fraction(3_048, 10_000), "yd": Fraction(9_144, 10_000), "mi": Fraction(1_609_344, 1000),
    },
    "mass": {
        "g": 1, "kg": 1000, "mg": Fraction(1, 1000), "lb": Fraction(45_359_237, 100_000),
        "oz": Fraction(45_359_237, 1_600_000),
    },
    "volume": {"L": 1, "mL": Fraction(1, 1000)},
    "time": {"s": 1, "ms": Fraction(1, 1000), "min": 60, "h": 3600, "day": 86_400, "week": 604_800},
    "speed": {"m/s": 1, "km/h": Fraction(1000, 3600), "mph": Fraction(1_609_344, 3_600_000)},
    "dollars": {"USD": 1, "cent": Fraction(1, 100)},
}  # fmt: skip
_KIND = {unit: (kind, Fraction(factor)) for kind, units in _FACTORS.items() for unit, factor in units.items()}


def factor_of(unit: str) -> tuple[str, Fraction] | None:
    """The kind of a unit and how many of the kind's first unit it is; None = a unit that is not converted.

    >>> factor_of("km^2")
    ('length^2', Fraction(1000000, 1))
    """
    base, _, power = unit.partition("^")
    found = _KIND.get(base)
    if found is None or (power and power not in ("2", "3")):
        return None
    kind, factor = found
    return (f"{kind}^{power}", factor ** int(power)) if power else found
