r"""Expressions from tokens: a recursive-descent parser for LaTeX and plain notation, bounded in depth."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from plaudit.verify._lexer import Token, Unread
from plaudit.verify._syntax import IMAGINARY, E, Node, number, symbol
from plaudit.verify._vocabulary import ALIASES, CONSTANTS, FUNCTIONS, GREEK, INVERSES

DEEPEST = 70
"""Groups within groups that are read."""

_GROUPS = {"(": ")", "[": "]", "{": "}", r"\{": r"\}"}
_STARTS = frozenset((*_GROUPS, r"\frac", r"\sqrt", r"\binom", r"\lfloor", r"\lceil", r"\sum", r"\prod", r"\int", r"\lim"))
_NAMED = frozenset("fgh") | frozenset("ABDFGHIJKLMNPQRSTUVWXYZ")
_LONGEST_PRODUCT = 3


def parse(tokens: Sequence[Token]) -> Node:
    r"""The expression that all of the tokens write. Raises Unread when they do not write one.

    >>> from plaudit.verify._lexer import tokens
    >>> parse(tokens(r"2\frac12")).kind, parse(tokens("2x^2")).kind
    ('add', 'mul')
    """
    parser = _Parser(list(tokens))
    node = parser.sum()
    if parser.at < len(parser.tokens):
        raise Unread(f"{parser.tokens[parser.at].text!r} is not expected here")
    return node


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.bars = 0  # open absolute values
        self.integrals = 0  # open integrals: "dx" ends their integrand

    def peek(self, ahead: int = 0) -> str:
        at = self.at + ahead
        return self.tokens[at].text if at < len(self.tokens) else ""

    def kind(self, ahead: int = 0) -> str:
        at = self.at + ahead
        return self.tokens[at].kind if at < len(self.tokens) else ""

    def take(self, *expected: str) -> bool:
        if self.at < len(self.tokens) and self.tokens[self.at].text in expected and self.tokens[self.at].kind != "text":
            self.at += 1
            return True
        return False

    def need(self, text: str) -> None:
        if not self.take(text):
            raise Unread(f"expected {text!r}, found {self.peek() or 'the end'!r}")

    def sum(self) -> Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unread(f"more than {DEEPEST} groups within groups")
        parts = [self._first_term()]
        while (sign := self.peek()) in ("+", "-", r"\pm", r"\mp") and self.kind() != "text":
            self.at += 1
            term = self._signed()
            if sign in (r"\pm", r"\mp"):
                parts = [Node("pm", (_sum(parts), term))]
            else:
                parts.append(term if sign == "+" else _negative(term))
        self.depth -= 1
        return _sum(parts)

    def _first_term(self) -> Node:
        if self.take(r"\pm", r"\mp"):
            return Node("pm", (self.term(),))
        return self._signed()

    def _signed(self) -> Node:
        negative = False
        for _ in range(4):
            if self.take("-"):
                negative = not negative
            elif not self.take("+"):
                break
        else:
            raise Unread("a row of signs")
        node = self.term()
        return _negative(node) if negative else node

    def term(self) -> Node:
        node = self.factor()
        while True:
            if self.take("*"):
                node = _product(node, self._signed_factor())
            elif self.take("/"):
                node = Node("div", (node, self._signed_factor()))
            elif self.take(r"\bmod"):
                node = Node("call", (node, self._signed_factor()), "mod")
            elif self._begins_factor():
                if node.kind == "number" and self.kind() == "number":
                    raise Unread("two numbers without a sign between them")
                node = _product(node, self.factor())
            else:
                return node

    def _signed_factor(self) -> Node:
        if self.take("-"):
            return _negative(self.factor())
        self.take("+")
        return self.factor()

    def _begins_factor(self) -> bool:
        kind, text = self.kind(), self.peek()
        if kind in ("number", "letter", "word"):
            if self.integrals and text == "d" and self.kind(1) in ("letter", "command"):
                return False
            return not (self.integrals and kind == "word" and len(text) == 2 and text[0] == "d")
        if kind == "command":
            name = text[1:]
            return text in _STARTS or name in FUNCTIONS or name in GREEK or name in CONSTANTS
        return (kind == "sign" and text in _GROUPS) or (text == "|" and not self.bars)

    def factor(self) -> Node:
        node = self._postfix(self.primary())
        if self.take("^"):
            if self.peek() == r"\circ" or (self.peek() == "{" and self.peek(1) == r"\circ"):
                braced = self.take("{")
                self.at += 1
                if braced:
                    self.need("}")
                return self._postfix(Node("call", (node,), "deg"))
            if self.peek() == "'" or (self.peek() == "{" and self.peek(1) == "'"):
                raise Unread("a prime on an expression")
            self.depth += 1
            if self.depth > DEEPEST:
                raise Unread(f"more than {DEEPEST} groups within groups")
            node = self._postfix(Node("pow", (node, self.exponent())))
            self.depth -= 1
        return node

    def exponent(self) -> Node:
        """What stands behind ^: a group, a digit, or a signed factor ("x^-1", "2^3^2")."""
        if self.take("-"):
            return _negative(self.exponent())
        self.take("+")
        if self.peek() == "{":
            return self._group()
        return self.factor()

    def _postfix(self, node: Node) -> Node:
        while True:
            if self.peek() == "!" and self.peek(1) != "!" and self.kind() == "sign":
                self.at += 1
                node = Node("call", (node,), "factorial")
            elif self.take("%", r"\%"):
                node = Node("div", (node, number(100)))
            elif self.peek() == r"\circ" or (self.kind() == "word" and self.peek() in ("degrees", "degree")):
                self.at += 1
                node = Node("call", (node,), "deg")
            else:
                return node

    def primary(self) -> Node:
        if self.at >= len(self.tokens):
            raise Unread("the expression ends too early")
        token = self.tokens[self.at]
        if token.kind == "number":
            return self._number()
        if token.kind == "letter":
            return self._letter()
        if token.kind == "word":
            return self._word()
        if token.kind == "command":
            return self._command(token.text[1:])
        if token.kind == "sign" and token.text in _GROUPS and token.text != r"\{":
            return self._group()
        if token.text == "|":
            return self._bars()
        raise Unread(f"{token.text!r} is not expected here")

    def _group(self) -> Node:
        opening = self.peek()
        self.at += 1
        bars, self.bars = self.bars, 0
        node = self.sum()
        self.bars = bars
        self.need(_GROUPS[opening])
        return node

    def _bars(self) -> Node:
        self.need("|")
        self.bars += 1
        node = self.sum()
        self.bars -= 1
        self.need("|")
        return Node("call", (node,), "abs")

    def _number(self) -> Node:
        text = self.peek()
        self.at += 1
        if "." in text and (repeating := self._repeating(text)) is not None:
            return repeating
        mantissa, _, power = text.partition("e")
        whole, _, part = mantissa.partition(".")
        value = Fraction(int((whole + part) or "0"), 10 ** len(part))
        if power:
            if abs(int(power)) > 2_000:
                raise Unread("a power of ten beyond 2,000")
            value *= Fraction(10) ** int(power)
            return number(value, text)
        if part:
            return number(value, mantissa)
        return self._mixed(value)

    def _mixed(self, whole: Fraction) -> Node:
        r"""A mixed number: 2\frac12, 2 1/2; or the whole number alone."""
        node = number(whole)
        if self.peek() == r"\frac":
            before = self.at
            fraction = self._command("frac")
            parts = fraction.args
            plain = fraction.kind == "div" and all(part.kind == "number" and not part.name for part in parts)
            if plain and self.peek() != "^":
                return Node("add", (node, fraction), "mixed")
            self.at = before
        elif self.kind() == "number" and self.peek(1) == "/" and self.kind(2) == "number" and self.tokens[self.at].space:
            n, d = self.peek(), self.peek(2)
            if n.isdigit() and d.isdigit() and int(d):
                self.at += 3
                return Node("add", (node, number(Fraction(int(n), int(d)))), "mixed")
        return node

    def _repeating(self, text: str) -> Node | None:
        period = ""
        if self.peek() == r"\overline":
            self.at += 1
            self.need("{")
            period = self.peek()
            self.at += 1
            self.need("}")
        elif self.kind() == "word" and self.peek().startswith(r"\dot "):
            period = self.peek()[5:]
            self.at += 1
        elif self.peek() == "(" and self.kind(1) == "number" and self.peek(2) == ")" and not self.tokens[self.at].space:
            period = self.peek(1)
            self.at += 3
        elif self.take(r"\ldots"):
            digits = text.partition(".")[2]
            length = next((k for k in range(1, len(digits) // 2 + 1) if digits.endswith(digits[-k:] * (3 if k == 1 else 2))), 0)
            if not length:
                raise Unread("a decimal that goes on without a visible period")
            period, text = digits[-length:], text[: len(text) - length]
        else:
            return None
        if not period.isdigit() or "e" in text:
            raise Unread("a repeating decimal whose period is not digits")
        whole, _, part = text.partition(".")
        head = Fraction(int((whole + part) or "0"), 10 ** len(part))
        return number(head + Fraction(int(period), (10 ** len(period) - 1) * 10 ** len(part)))

    def _letter(self) -> Node:
        name = self.peek()
        self.at += 1
        if name == "e" and self.peek() != "_":
            return E
        if name == "i" and self.peek() != "_":
            return IMAGINARY
        if name in "CAP" and self.peek() == "_" and (counted := self._counted(name)) is not None:
            return counted
        name = self._subscripted(name)
        return self._applied(name)

    def _applied(self, name: str) -> Node:
        """A symbol, or a function that only has a name: f(x), P(1, 2)."""
        if name[0] not in _NAMED or self.peek() != "(" or self.bars:
            return symbol(name)
        before = self.at
        try:
            arguments = self._arguments()
        except Unread:
            arguments = ()
        if arguments and all(arg.kind in ("symbol", "number") or len(arguments) > 1 for arg in arguments):
            return Node("opaque", arguments, name)
        self.at = before
        return symbol(name)

    def _arguments(self) -> tuple[Node, ...]:
        self.need("(")
        out = [self.sum()]
        while self.take(",", ";"):
            out.append(self.sum())
        self.need(")")
        return tuple(out)

    def _counted(self, name: str) -> Node | None:
        """C_n^k and A_n^k, P_n^k: how many ways to choose, or to arrange."""
        before = self.at
        try:
            self.need("_")
            n = self._script()
            self.need("^")
            k = self._script()
        except Unread:
            self.at = before
            return None
        if n.kind != "number" or k.kind != "number":
            self.at = before
            return None
        return Node("call", (n, k), "binom" if name == "C" else "perm")

    def _script(self) -> Node:
        return self._group() if self.peek() == "{" else self.primary()

    def _subscripted(self, name: str) -> str:
        while self.take("'"):
            name += "'"
        if self.take("_"):
            name += "_" + self._script_text()
        while self.take("'"):
            name += "'"
        return name

    def _script_text(self) -> str:
        if not self.take("{"):
            self.at += 1
            return self.tokens[self.at - 1].text if self.at <= len(self.tokens) else ""
        out, depth = "", 1
        while self.at < len(self.tokens):
            text = self.peek()
            self.at += 1
            depth += (text == "{") - (text == "}")
            if depth == 0:
                return out.strip()
            out += text
        raise Unread("a subscript is not closed")

    def _word(self) -> Node:
        name = self.peek()
        if name.startswith("\\"):  # an accent, \vec i: a symbol of its own
            self.at += 1
            return symbol(self._subscripted(name))
        name = ALIASES.get(name, name)
        if name in FUNCTIONS or name in ("sqrt", "cbrt", "binom"):
            return self._command(name)
        if name in CONSTANTS:
            self.at += 1
            return CONSTANTS[name]
        if name in GREEK:
            self.at += 1
            return symbol(self._subscripted(name))
        for head in ("sqrt", "sin", "cos", "tan", "pi", "ln", "log"):  # "xsqrt" is not split, "sinx" is
            if name.startswith(head) and len(name) - len(head) <= 2 and head != name:
                rest = [Token("letter", letter) for letter in name[len(head) :]]
                self.tokens[self.at : self.at + 1] = [Token("word", head), *rest]
                return self._word()
        if len(name) > _LONGEST_PRODUCT:
            raise Unread(f"the word {name!r}")
        self.tokens[self.at : self.at + 1] = [Token("letter", letter) for letter in name]
        return self._letter()

    def _command(self, name: str) -> Node:
        self.at += 1
        name = ALIASES.get(name, name)
        if name in CONSTANTS:
            return CONSTANTS[name]
        if name in GREEK:
            return self._applied(self._subscripted(name))
        if name in FUNCTIONS:
            return self._function(name)
        read = getattr(self, f"_{name}", None) if name in _COMMANDS else None
        if read is None:
            raise Unread(f"the command \\{name}")
        node: Node = read()
        return node

    def _frac(self) -> Node:
        top, bottom = self._braced(), self._braced()
        variable = _differential(bottom)
        if variable is not None and top == symbol("d"):
            return Node("derivative", (self.term(), variable))
        return Node("div", (top, bottom))

    def _braced(self) -> Node:
        """An argument of a command: a group in braces, or one token."""
        if self.peek() == "{":
            return self._group()
        if self.kind() == "number" and len(self.peek()) > 1 and self.peek().isdigit():
            raise Unread("an argument without braces")
        return self.primary()

    def _binom(self) -> Node:
        if self.peek() == "(":
            arguments = self._arguments()
            if len(arguments) != 2:
                raise Unread("binom takes two arguments")
            return Node("call", arguments, "binom")
        return Node("call", (self._braced(), self._braced()), "binom")

    def _sqrt(self) -> Node:
        index: Node | None = None
        if self.take("["):
            index = self.sum()
            self.need("]")
        if self.peek() in ("{", "("):
            inner = self._group()
        else:
            inner = self.primary() if self.kind() != "number" else self._root_of_number()
        return Node("call", (inner,) if index is None else (inner, index), "sqrt" if index is None else "root")

    def _root_of_number(self) -> Node:
        self.at += 1
        text = self.tokens[self.at - 1].text
        return number(Fraction(text), text if "." in text else "")

    def _cbrt(self) -> Node:
        return Node("call", (self._group(), number(3)), "root")

    def _lfloor(self) -> Node:
        node = self.sum()
        self.need(r"\rfloor")
        return Node("call", (node,), "floor")

    def _lceil(self) -> Node:
        node = self.sum()
        self.need(r"\rceil")
        return Node("call", (node,), "ceil")

    def _function(self, name: str) -> Node:
        base: Node | None = None
        power: Node | None = None
        for _ in range(2):
            if self.take("_"):
                base = self._script()
            elif self.peek() == "^" and power is None:
                self.at += 1
                power = self.exponent()
        if power == _negative(number(1)) and name in INVERSES:
            name, power = INVERSES[name], None
        if self.peek() == "(":
            arguments = self._arguments()
        elif self.peek() == "{":
            arguments = (self._group(),)
        else:
            arguments = (self._bare_argument(),)
        if name in ("gcd", "lcm", "max", "min"):
            node = Node("call", arguments, name)
        elif len(arguments) != 1:
            if name != "log" or len(arguments) != 2:
                raise Unread(f"{name} takes one argument")
            node = Node("div", (Node("call", arguments[:1], "log"), Node("call", arguments[1:], "log")))
        elif name == "exp":
            node = Node("pow", (E, arguments[0]))
        else:
            node = Node("call", arguments, name)
        if base is not None:
            if name != "log":
                raise Unread(f"{name} with a subscript")
            node = Node("div", (node, Node("call", (base,), "log")))
        return node if power is None else Node("pow", (node, power))

    def _bare_argument(self) -> Node:
        """The argument of a function without brackets: "2x" of sin 2x cos x; it ends at a sign or the next function."""
        negative = self.take("-")
        node = self.factor()
        while True:
            if self.take("/"):
                node = Node("div", (node, self.factor()))
                continue
            name = ALIASES.get(self.peek().lstrip("\\"), self.peek().lstrip("\\"))
            if not self._begins_factor() or name in FUNCTIONS or self.peek() in ("(", "[", "|"):
                return _negative(node) if negative else node
            node = _product(node, self.factor())

    def _bounds(self) -> tuple[list[Token], Node | None]:
        """Tokens of the subscript, and the superscript, of a big operator."""
        lower: list[Token] = []
        upper: Node | None = None
        for _ in range(2):
            if self.take("_"):
                lower = self._script_tokens()
            elif self.take("^"):
                upper = self._script()
        return lower, upper

    def _script_tokens(self) -> list[Token]:
        if not self.take("{"):
            self.at += 1
            return self.tokens[self.at - 1 : self.at]
        start, depth = self.at, 1
        while self.at < len(self.tokens):
            depth += (self.peek() == "{") - (self.peek() == "}")
            self.at += 1
            if depth == 0:
                return self.tokens[start : self.at - 1]
        raise Unread("a subscript is not closed")

    def _range(self, kind: str) -> Node:
        lower, upper = self._bounds()
        if upper is None or len(lower) < 3 or lower[0].kind != "letter" or lower[1].text != "=":
            raise Unread("a sum or product without bounds")
        variable = lower[0].text
        body = _bind(self.term(), variable)
        return Node("sum" if kind == "sum" else "prod", (body, symbol(variable), parse(lower[2:]), upper))

    def _sum(self) -> Node:
        return self._range("sum")

    def _prod(self) -> Node:
        return self._range("prod")

    def _int(self) -> Node:
        lower, upper = self._bounds()
        self.integrals += 1
        body = self.sum()
        self.integrals -= 1
        if self.kind() == "word" and len(self.peek()) == 2 and self.peek()[0] == "d":
            variable = self.peek()[1]
            self.at += 1
        else:
            self.need("d")
            variable = self.peek().lstrip("\\")
            self.at += 1
        if (upper is None) != (not lower):
            raise Unread("an integral with one bound")
        bounds = () if upper is None else (parse(lower), upper)
        return Node("integral", (body, symbol(variable), *bounds))

    def _lim(self) -> Node:
        lower, _ = self._bounds()
        if len(lower) < 3 or lower[0].kind not in ("letter", "command") or lower[1].text != r"\to":
            raise Unread("a limit without its point")
        point, side = lower[2:], ""
        if len(point) >= 3 and point[-2].text == "^" and point[-1].text in "+-":
            point, side = point[:-2], point[-1].text
        return Node("limit", (self.term(), symbol(lower[0].text.lstrip("\\")), parse(point)), side)


_COMMANDS = frozenset(("frac", "sqrt", "cbrt", "binom", "lfloor", "lceil", "sum", "prod", "int", "lim"))


def _sum(parts: list[Node]) -> Node:
    return parts[0] if len(parts) == 1 else Node("add", tuple(parts))


def _negative(node: Node) -> Node:
    return Node("neg", (node,))


def _product(a: Node, b: Node) -> Node:
    return Node("mul", (*a.args, b) if a.kind == "mul" else (a, b))


def _differential(node: Node) -> Node | None:
    if node.kind == "mul" and len(node.args) == 2 and node.args[0] == symbol("d") and node.args[1].kind == "symbol":
        return node.args[1]
    return None


def _bind(node: Node, variable: str) -> Node:
    """The body of a sum over i or e: there the letter is the variable, not the constant."""
    if node.kind == "constant" and node.name == variable:
        return symbol(variable)
    return node._replace(args=tuple(_bind(arg, variable) for arg in node.args)) if node.args else node
