"""verify.numeric: tolerance in exact arithmetic, units, references."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.errors import SpecError
from plaudit.types import Context, Sample
from plaudit.verify import Numeric


def value(answer, reference, **fields):
    return Numeric(**fields).score_one(Sample("q", f"\\boxed{{{answer}}}", reference), Context()).value


@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6), st.integers(0, 10**6))
def test_the_absolute_tolerance_is_exact(a, b, tolerance):
    assert value(str(a), b, absolute=tolerance) == float(abs(a - b) <= tolerance)


@given(st.fractions(max_denominator=1_000), st.fractions(max_denominator=1_000))
def test_the_relative_tolerance_is_of_the_reference(a, b):
    said = f"\\frac{{{a.numerator}}}{{{a.denominator}}}"
    assert value(said, b, relative=0.05) == float(abs(a - b) <= Fraction(5, 100) * abs(b))


def test_units_are_converted_dropped_or_required():
    assert value("3000 g", "3 kg") == 1.0
    assert value("3000", "3 kg") == 0.0
    assert value("3", "3 kg") == 1.0
    assert value("3", "3 kg", units="strict") == 0.0
    assert value("3 s", "3 kg") == 0.0
    assert value("3 s", "3 kg", units="ignore") == 1.0
    assert value("25\\%", "0.25", percent="value") == 1.0
    assert value("36 km/h", r"10\,\mathrm{m/s}") == 1.0


def test_irrational_numbers_have_values():
    assert value(r"\sqrt{2}", "1.41421", relative=1e-5) == 1.0
    assert value(r"\pi^2", 9.8696, absolute=1e-4) == 1.0


@pytest.mark.parametrize("fields", [{"absolute": -1.0}, {"relative": float("nan")}, {"rules": ("box",)}, {"rules": ()}])
def test_bad_fields_are_refused(fields):
    with pytest.raises(SpecError, match=r"verify\.numeric"):
        Numeric(**fields)
