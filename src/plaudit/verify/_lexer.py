r"""Tokens of LaTeX and plain mathematics; everything is bounded before it is read."""

from __future__ import annotations

import re
from typing import NamedTuple

from plaudit.verify._vocabulary import (
    ACCENTS,
    DOUBLED,
    DROPPED,
    FONTS,
    KNOWN,
    LOWERED,
    RAISED,
    RENAMED,
    ROW_END,
    SUBSCRIPT,
    SUPERSCRIPT,
    TEXTS,
    TRANSLATION,
    UNIT_VECTORS,
)

MOST_TOKENS = 6_000
"""Tokens of the longest expression that is read."""

LONGEST_NUMBER = 1_000
"""Digits of the longest literal."""


class Unread(Exception):
    """The text is not mathematics that is understood, or it breaks a size guard."""


class Token(NamedTuple):
    r"""kind: "number", "letter", "word", "command", "text" (content of ``\text{}``), "sign"; `space` = there was white space."""

    kind: str
    text: str
    space: bool = False


_SCAN = re.compile(
    r"""(?P<space>(?:\s|~|\\[,;:! ]|\\(?=\s|\Z))+)
    |(?P<grouped>(?<![\d.])\d{1,3}(?:(?:\{,\}|\\,|\\!|\\\ |,\\!\ ?|\ |\ ?\\,\ ?|\{\\,\}|\\thinspace\ )\d{3})+(?!\d)(?:\.\d+)?)
    |(?P<comma>(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])(?:\.\d+)?)
    |(?P<number>\d+(?:\.\d+|\.(?![\d.]))?|\.\d+)(?:[eE](?P<power>[+-]?\d+)(?![\dA-Za-z.]))?
    |\\(?P<command>[A-Za-z]+)\*?
    |(?P<escaped>\\[{}|%$&\#_\\()\[\]])
    |(?P<word>[A-Za-z]+)
    |(?P<compound>\*\*|<=|>=|!=|<>|:=|==|->|=>|\.\.\.+)
    |(?P<sign>[-+*/^_(){}\[\]=<>|,;:!%&'$.?@"])
    """,
    re.VERBOSE,
)
_COMPOUND = {
    "**": "^", "<=": r"\leq", ">=": r"\geq", "!=": r"\neq", "<>": r"\neq", ":=": "=", "==": "=", "->": r"\to",
    "=>": r"\Rightarrow",
}  # fmt: skip


def plain(text: str) -> str:
    r"""The text with Unicode signs spelt in LaTeX or ASCII, and doubled backslashes of known commands made single.

    >>> plain("2√3 ≤ x²")
    '2\\sqrt 3 \\le  x^{2}'
    """
    if not text.isascii():
        text = RAISED.sub(lambda m: f"^{{{m.group().translate(SUPERSCRIPT)}}}", text)
        text = LOWERED.sub(lambda m: f"_{{{m.group().translate(SUBSCRIPT)}}}", text)
        text = text.translate(TRANSLATION)
    if "\\\\" in text:
        keep_rows = ROW_END.search(text) is not None and "\\\\begin" not in text
        text = DOUBLED.sub(lambda m: m.group() if keep_rows or m.group(1) not in KNOWN else "\\", text)
    return text


def tokens(text: str, group: bool = True) -> list[Token]:
    """The tokens of a text that went through `plain`; `group` = "1,234" outside brackets is one number.

    Raises Unread for a character that no rule knows, an unclosed brace or a size guard.

    >>> [token.text for token in tokens(r"\\frac12 x\\,\\le 1{,}000")]
    ['\\\\frac', '1', '2', 'x', '\\\\leq', '1000']
    """
    out: list[Token] = []
    at, end, depth, space = 0, len(text), 0, False
    scan = _SCAN.match
    while at < end:
        match = scan(text, at)
        if match is None:
            raise Unread(f"the character {text[at]!r} has no meaning here")
        kind = match.lastgroup
        at = match.end()
        found = match.group()
        if kind == "space":
            space = True
            continue
        if kind == "grouped":
            out.append(_number(re.sub(r"[^\d.]", "", found), space))
        elif kind == "comma":
            if group and depth == 0:
                out.append(_number(found.replace(",", ""), space))
            else:
                head = found.index(",")
                at = match.start() + head
                out.append(_number(found[:head], space))
        elif kind in ("number", "power"):
            at = _literal(match, out, space)
        elif kind == "command":
            at = _command(text, match.group("command"), at, out, space)
        elif kind == "word":
            out.append(Token("letter" if len(found) == 1 else "word", found, space))
        else:
            sign = _COMPOUND.get(found, found)
            if sign.startswith("..."):
                sign = r"\ldots"
            if sign not in ("$", "\\(", "\\)", "\\[", "\\]"):
                depth += (sign in ("(", "[", "{", r"\{")) - (sign in (")", "]", "}", r"\}"))
                out.append(Token("command" if sign[0] == "\\" and sign[1:].isalpha() else "sign", sign, space))
        space = False
        if len(out) > MOST_TOKENS:
            raise Unread(f"more than {MOST_TOKENS:,} tokens")
    return out


def _number(digits: str, space: bool) -> Token:
    if len(digits) > LONGEST_NUMBER:
        raise Unread(f"a number of more than {LONGEST_NUMBER:,} digits")
    return Token("number", digits, space)


def _literal(match: re.Match[str], out: list[Token], space: bool) -> int:
    digits, power = match.group("number"), match.group("power")
    # An argument of \frac without braces is one digit: \frac12.
    before = [token.text for token in out[-2:]]
    single = before[-1:] in ([r"\frac"], [r"\binom"]) or (
        before[:1] in ([r"\frac"], [r"\binom"]) and out[-1].kind == "number" and len(before[-1]) == 1
    )
    if single and len(digits) > 1 and digits[0] != ".":
        out.append(_number(digits[0], space))
        return match.start() + 1
    if power is not None and len(power) <= 6:
        out.append(_number(f"{digits}e{power}", space))
    elif power is not None:
        raise Unread("an exponent of more than five digits")
    else:
        out.append(_number(digits, space))
    return match.end()


def _command(text: str, name: str, at: int, out: list[Token], space: bool) -> int:
    name = RENAMED.get(name, name)
    if name in DROPPED:
        # "\left." and "\right." are delimiters that are not there.
        return at + 1 if name in ("left", "right") and text[at : at + 1] == "." else at
    if name in TEXTS:
        content, at = _group(text, at)
        _text(content, out, space)
        return at
    if name in FONTS:
        content, after = _group(text, at)
        if name in ("mathbf", "boldsymbol", "bm") and content.strip() in UNIT_VECTORS:
            out.append(Token("word", f"\\vec {content.strip()}", space))
            return after
        return at
    if name in ACCENTS:
        content, at = _group(text, at)
        bare = content.strip().lstrip("\\").removesuffix("math")
        out.append(Token("word", f"\\vec {bare}" if bare in UNIT_VECTORS else f"\\{name} {content.strip()}", space))
        return at
    if name == "mathbb":
        content, at = _group(text, at)
        out.append(Token("command", f"\\mathbb{content.strip()[:1]}", space))
        return at
    if name in ("begin", "end"):
        content, at = _group(text, at)
        out.append(Token("command", f"\\{name}{{{content.strip().rstrip('*')}}}", space))
        if name == "begin" and content.startswith(("array", "tabular")) and text[at : at + 1] == "{":
            _, at = _group(text, at)
        return at
    out.append(Token("sign" if not name.isalnum() else "command", name if not name.isalnum() else f"\\{name}", space))
    return at


def _text(content: str, out: list[Token], space: bool) -> None:
    bare = content.strip()
    if len(bare) == 1 and bare.isalpha():
        out.append(Token("letter", bare, space))
    elif bare in ("arcsin", "arccos", "arctan", "sin", "cos", "tan", "log", "ln", "lcm", "gcd", "arccot", "sech", "csch", "sgn"):
        out.append(Token("command", f"\\{bare}", space))
    elif bare.replace(".", "", 1).isdigit() and bare.isascii():
        out.append(_number(bare, space))
    elif bare:
        out.append(Token("text", bare, True))


def _group(text: str, at: int) -> tuple[str, int]:
    """The content of the braces at a position, or the next character."""
    while at < len(text) and text[at] == " ":
        at += 1
    if text[at : at + 1] != "{":
        if text[at : at + 1] == "\\":
            match = re.compile(r"\\[A-Za-z]+").match(text, at)
            if match is not None:
                return match.group(), match.end()
        return text[at : at + 1], at + 1
    depth = 0
    for k in range(at, len(text)):
        if text[k] == "{" and text[k - 1] != "\\":
            depth += 1
        elif text[k] == "}" and text[k - 1] != "\\":
            depth -= 1
            if depth == 0:
                return text[at + 1 : k], k + 1
    raise Unread("a brace is not closed")
