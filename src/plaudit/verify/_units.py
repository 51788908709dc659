"""What may stand behind a number: percent, units, currencies, and words that carry no value."""

from __future__ import annotations

import re
from typing import NamedTuple

CURRENCY_SIGNS = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR"}

_CURRENCIES = {
    "cent": "cent cents",
    "USD": "usd dollar dollars bucks",
    "EUR": "eur euro euros",
    "GBP": "gbp pounds sterling",
    "JPY": "jpy yen",
    "CNY": "cny rmb yuan",
    "INR": "inr rupee rupees rs",
}
# Upper and lower case mean different units in symbols (m, M), so symbols are looked up as written, words in lower case.
_SYMBOL_LIST = "m cm mm km g kg mg lb oz L mL s ms min h km/h mph m/s ft yd mi °C °F"
_SYMBOLS = {symbol: symbol for symbol in _SYMBOL_LIST.split()} | {
    "lbs": "lb",
    "ml": "mL",
    "l": "L",
    "hr": "h",
    "hrs": "h",
    "kmh": "km/h",
    "in": "inch",
    "°": "degree",
}
_WORDS = {
    "%": "% percent percentage pct",
    "m": "meter meters metre metres",
    "cm": "centimeter centimeters centimetre centimetres",
    "mm": "millimeter millimeters millimetre millimetres",
    "km": "kilometer kilometers kilometre kilometres",
    "inch": "inch inches",
    "ft": "foot feet",
    "yd": "yard yards",
    "mi": "mile miles",
    "g": "gram grams",
    "kg": "kilogram kilograms kilo kilos",
    "mg": "milligram milligrams",
    "lb": "pound",
    "oz": "ounce ounces",
    "L": "liter liters litre litres",
    "mL": "milliliter milliliters millilitre millilitres",
    "s": "second seconds sec secs",
    "min": "minute minutes mins",
    "h": "hour hours",
    "day": "day days",
    "week": "week weeks",
    "month": "month months",
    "year": "year years",
    "degree": "degree degrees deg",
}
_CURRENCY_OF = {word: code for code, words in _CURRENCIES.items() for word in words.split()}
_UNIT_OF = {word: unit for unit, words in _WORDS.items() for word in words.split()} | _CURRENCY_OF | CURRENCY_SIGNS
STANDARD_UNITS = frozenset(_SYMBOLS.values()) | frozenset(_UNIT_OF.values())
_MAGNITUDES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}

# A word that may change the value, deny it, or begin another one: the whole text is then refused.
_CHANGING = """
    and or nor to plus minus times over by not but than through versus vs out at if unless except either
    is isn't are was were be being wrong incorrect false no never instead
    half halves third thirds quarter quarters fourth fourths fifth fifths sixth sixths seventh sevenths eighth eighths
    ninth ninths tenth tenths hundredth hundredths thousandth thousandths dozen dozens score pair pairs
    hundred thousand million billion trillion hundreds thousands millions billions
    zero one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty
    square squared cube cubed cubic root sqrt log ln sin cos tan pi mod remainder factorial degrees percent percentage
"""
_REFUSED = frozenset(_CHANGING.split())
_LONGEST_WORDS = 8
_LETTERS = frozenset("amshg")  # the article, and units that a phrase may hold ("m per s")

_MARKUP = re.compile(r"\\(?:text|textnormal|textrm|textbf|textit|mathrm|mathit|mathbf|mbox|rm|hbox)(?![A-Za-z])|[{}*_()]")
_DEGREE = re.compile(r"\^? ?(?:\{ ?)?(?:\\circ|°)(?: ?\})?")
_POWER = re.compile(r" ?(?:\^ ?([23])|([²³]))\Z")
_PHRASE = re.compile(r"[A-Za-z][A-Za-z'’-]*(?:(?:[ ]|[ ]?/[ ]?)[A-Za-z][A-Za-z'’-]*)*\Z")


class Suffix(NamedTuple):
    """What stands behind a number: the factor of a word such as "million", and the unit's standard name or its words."""

    factor: int = 1
    unit: str | None = None


_NONE = Suffix()


def read_unit(text: str) -> Suffix | None:
    r"""What the text behind a number says; None = it may change the value, so the number must not be read.

    Known: percent, degrees, common units of length, mass, volume and time with squares and cubes, currencies, and the
    multipliers hundred to trillion. Other English words are a unit of their own ("18 eggs"), up to 8 of them, unless one of
    them may change the value or deny it ("18 or", "3 dozen", "5 squared", "42 is wrong"). A single letter is a unit only
    when a space or ``\text`` tells it from a variable ("5 m", not "5m").

    >>> read_unit(r"\text{ kilometres}").unit, read_unit(" million dollars"), read_unit(" or 5") is None
    ('km', Suffix(factor=1000000, unit='USD'), True)
    """
    if not text or text.isspace():
        return _NONE
    attached = text[0].isalpha()
    words = " ".join(_MARKUP.sub(" ", _DEGREE.sub("°", text, count=1)).split()).rstrip(".,;:").replace("° ", "°")
    power = None
    if (squared := _POWER.search(words)) is not None:
        power, words = squared.group(1) or {"²": "2", "³": "3"}[squared.group(2)], words[: squared.start()].rstrip()
    elif words.startswith(("square ", "sq ", "cubic ")):
        power, words = "3" if words.startswith("cubic") else "2", words.split(" ", 1)[1]
    if not words or (attached and len(words) == 1):
        return None
    if (unit := _unit(words)) is not None:
        return Suffix(1, unit if power is None else f"{unit}^{power}")
    return None if attached or power is not None else _phrase(words)


def _unit(words: str) -> str | None:
    return _SYMBOLS.get(words) or _UNIT_OF.get(words.lower())


def _phrase(words: str) -> Suffix | None:
    factor = 1
    head, _, rest = words.partition(" ")
    if head.lower() in _MAGNITUDES:
        factor, words = _MAGNITUDES[head.lower()], rest
        if not words:
            return Suffix(factor)
        head, _, rest = words.partition(" ")
    currency = CURRENCY_SIGNS.get(head) or _CURRENCY_OF.get(head.lower())
    if not _harmless(rest if currency else words):
        return None
    return Suffix(factor, currency or _unit(words) or _standard_words(words))


def _harmless(words: str) -> bool:
    if not words:
        return True
    parts = re.split(r"[ /]+", words)
    if len(parts) > _LONGEST_WORDS or _PHRASE.match(words) is None:
        return False
    return all((len(w) > 1 or w in _LETTERS) and w.lower() not in _REFUSED for w in parts)


def _standard_words(words: str) -> str:
    first, *rest = words.lower().split(" ")
    # Plural and singular are the same unit: "18 eggs", "1 egg".
    first = _UNIT_OF.get(first) or (first[:-1] if first.endswith("s") and len(first) > 3 else first)
    return " ".join([first, *rest])
