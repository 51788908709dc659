"""Typed values of answers: what a text means, before anything is compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from plaudit.verify._syntax import Node

Order = Literal["<", "<=", ">", ">=", "=", "!="]


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number or an expression: "3/4", "x^2 + 1", "5 km", "x = 5" (`name` is the left side of a definition)."""

    node: Node
    unit: str | None = None
    name: Node | None = None


@dataclass(frozen=True, slots=True)
class Collection:
    """Several values. list: bare, "1, 2"; set: in braces; tuple: in brackets, which `brackets` names ("()" or "[]" or "<>")."""

    kind: Literal["list", "set", "tuple"]
    items: tuple[Value, ...]
    brackets: str = ""


@dataclass(frozen=True, slots=True)
class Interval:
    """Real numbers between two ends; a single point where they are the same and closed."""

    low: Node
    high: Node
    low_closed: bool
    high_closed: bool


@dataclass(frozen=True, slots=True)
class RealSet:
    """A union of intervals, as written; `name` is the variable of an inequality."""

    parts: tuple[Interval, ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Relation:
    """Sides with signs between them: "2x + 1 = 5", "a < b <= c"."""

    sides: tuple[Node, ...]
    signs: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of expressions."""

    rows: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True, slots=True)
class Ratio:
    """ "3:4" and longer."""

    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Time:
    """A time of the day in seconds after midnight; `half` = "a.m." or "p.m." was written."""

    seconds: int
    half: bool
    ratio: Ratio


@dataclass(frozen=True, slots=True)
class BaseNumber:
    """An integer written in a base that is named."""

    value: int
    base: int


@dataclass(frozen=True, slots=True)
class Text:
    """Words; `node` is the product of letters that they would be ("ab"), where they are that short."""

    words: str
    node: Node | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the letters of a multiple choice, with the text that follows it."""

    letter: str
    rest: str = ""


Value = Scalar | Collection | RealSet | Relation | Matrix | Ratio | Time | BaseNumber | Text | Choice
