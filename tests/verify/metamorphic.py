r"""Pairs of answers whose label is true by construction, one generator for each type of value.

A generator takes a `random.Random` and returns (gold, answer, equal) rows. The equal ones write one value in two ways; the
unequal ones change the value and keep the way of writing.
"""

from fractions import Fraction


def integers(r):
    n = r.choice([r.randint(2, 999), r.randint(1_000, 10**6), r.randint(10**6, 10**15)])
    k = r.randint(2, 9)
    power = 10 ** r.randint(3, 8)
    ways = [
        f"{n:,}",
        f"{n:,}".replace(",", "{,}"),
        f"{n:,}".replace(",", r"\,"),
        f"{n:,}".replace(",", " "),
        f"{n}.0",
        f"+{n}",
        f"{n}.",
        f"\\frac{{{n * k}}}{{{k}}}",
        f"x = {n}",
        f"\\mathbf{{{n}}}",
        f"{n} \\text{{ units}}",
        f"\\left({n}\\right)",
        f"${n}$",
        f"\\frac{{{k}({n})}}{{{k}}}",
        f"{n}\u00a0",
        f"\\text{{{n}}}",
    ]
    wrong = [
        f"{n + 1}",
        f"{-n}",
        f"{n}{r.randint(0, 9)}",
        f"{n}.01",
        f"{n + 1:,}",
        f"\\frac{{{n * k + 1}}}{{{k}}}",
        f"\\pm {n}",
        f"1/{n}",
    ]
    m = r.randint(1, 99)
    scientific = [
        f"{m}e{len(str(power)) - 1}",
        f"{m} \\times 10^{{{len(str(power)) - 1}}}",
        f"{m}\\cdot 10^{len(str(power)) - 1}",
    ]
    return (
        [(f"{n}", way, True) for way in ways]
        + [(f"{n}", way, False) for way in wrong]
        + [(f"{m * power}", way, True) for way in scientific]
        + [(f"{(m + 1) * power}", way, False) for way in scientific]
    )


def rationals(r):
    d = r.choice([2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 16, 20])
    n = r.randint(1, 60)
    q = Fraction(n, d)
    if q.denominator == 1:
        q += Fraction(1, 7)
    n, d = q.numerator, q.denominator
    k = r.randint(2, 7)
    whole, rest = divmod(n, d)
    gold = f"\\frac{{{n}}}{{{d}}}"
    ways = [
        f"{n}/{d}",
        f"\\dfrac{{{n}}}{{{d}}}",
        f"\\frac{{{n * k}}}{{{d * k}}}",
        f"{n} \\div {d}",
        f"\\frac{{-{n}}}{{-{d}}}",
        f"\\frac {{{n}}} {{{d}}}",
    ]
    if whole:
        ways += [f"{whole}\\frac{{{rest}}}{{{d}}}", f"{whole} {rest}/{d}", f"{whole}+\\frac{{{rest}}}{{{d}}}"]
    digits, period = decimal_expansion(n, d)
    ways += [digits] if not period else [f"{digits}\\overline{{{period}}}", f"{digits}{period * 12}\\ldots"]
    wrong = [
        f"\\frac{{{d}}}{{{n}}}",
        f"\\frac{{{n}}}{{{d + 1}}}",
        f"-\\frac{{{n}}}{{{d}}}",
        f"{gold}+\\frac{{1}}{{1000}}",
        f"{n}{d}",
        f"{float(q):.2f}1",
        f"{n} {d}",
        f"{n},{d}",
        f"({n},{d})",
    ]
    return [(gold, way, True) for way in ways] + [(gold, way, False) for way in wrong]


def decimal_expansion(n, d):
    """The digits of n/d up to its period, and the period."""
    whole, rest = divmod(n, d)
    digits, seen = "", {}
    while rest and rest not in seen:
        seen[rest] = len(digits)
        rest *= 10
        digits += str(rest // d)
        rest %= d
    if not rest:
        return f"{whole}.{digits or '0'}", ""
    return f"{whole}.{digits[: seen[rest]]}", digits[seen[rest] :]


def magnitudes(r):
    a, k = r.randint(11, 98), r.randint(8, 40)
    b = a + 1
    huge = r.randint(10**8, 10**9)
    gold = f"{a // 10}.{a % 10}\\times 10^{{-{k}}}"
    return [
        (gold, f"{a // 10}.{a % 10}e-{k}", True),
        (gold, f"{a}\\times 10^{{-{k + 1}}}", True),
        (gold, "0." + "0" * (k - 1) + f"{a // 10}{a % 10}", True),
        (gold, f"{b // 10}.{b % 10}\\times 10^{{-{k}}}", False),
        (gold, f"{a // 10}.{a % 10}\\times 10^{{-{k + 1}}}", False),
        (gold, "0", False),
        (f"2^{{{huge}}}", f"4^{{{huge // 2}}}" if huge % 2 == 0 else f"2\\cdot 4^{{{huge // 2}}}", True),
        (f"2^{{{huge}}}", f"2^{{{huge}}}+1", False),
        (f"2^{{{huge}}}", f"2^{{{huge + 1}}}", False),
        (f"\\frac{{1}}{{{k}!}}", f"\\frac{{1}}{{{k + 1}!}}", False),
        (f"\\sqrt{{2}}+10^{{-{k}}}", "\\sqrt{2}", False),
        (f"10^{{{k}}}", f"10^{{{k}}}+1", False),
    ]


def radicals(r):
    m = r.choice([2, 3, 5, 6, 7, 10, 11, 13, 15, 17, 19, 21])
    k = r.randint(2, 12)
    gold = f"{k}\\sqrt{{{m}}}"
    p, q = r.sample([2, 3, 5, 7, 11, 13], 2)
    return [
        *(
            (gold, way, True)
            for way in [
                f"\\sqrt{{{k * k * m}}}",
                f"\\frac{{{k * m}}}{{\\sqrt{{{m}}}}}",
                f"{k}√{m}",
                f"{k}*sqrt({m})",
                f"{k}({m})^{{1/2}}",
            ]
        ),
        *(
            (gold, way, True)
            for way in [
                f"{k}\\cdot\\sqrt{{{m}}}",
                f"\\sqrt{{{m}}}\\cdot {k}",
                f"-(-{k})\\sqrt{{{m}}}",
                f"\\frac{{{2 * k}\\sqrt{{{m}}}}}{{2}}",
            ]
        ),
        *(
            (gold, way, False)
            for way in [
                f"{k}\\sqrt{{{m + 1}}}",
                f"{k * m}",
                f"\\pm {gold}",
                f"-{gold}",
                f"\\sqrt{{{k * m}}}",
                f"{k + 1}\\sqrt{{{m}}}",
            ]
        ),
        (gold, f"{k * m**0.5:.4f}", False),
        (f"\\sqrt{{{p + q}+2\\sqrt{{{p * q}}}}}", f"\\sqrt{{{p}}}+\\sqrt{{{q}}}", True),
        (f"\\sqrt{{{p + q}+2\\sqrt{{{p * q}}}}}", f"\\sqrt{{{p}}}-\\sqrt{{{q}}}", False),
        (f"\\frac{{1}}{{\\sqrt{{{p}}}+\\sqrt{{{q}}}}}", f"\\frac{{\\sqrt{{{p}}}-\\sqrt{{{q}}}}}{{{p - q}}}", True),
        (f"\\sqrt[3]{{{k**3 * m}}}", f"{k}\\sqrt[3]{{{m}}}", True),
        (f"\\sqrt[3]{{{k**3 * m}}}", f"{k}\\sqrt{{{m}}}", False),
    ]


def transcendental(r):
    k, m = r.randint(2, 20), r.randint(2, 9)
    return [
        *(
            (f"{k}\\pi", way, True)
            for way in [f"{k}π", f"\\pi\\cdot {k}", f"{k}*pi", f"\\frac{{{k * m}\\pi}}{{{m}}}", f"{k} \\pi"]
        ),
        *(
            (f"{k}\\pi", way, False)
            for way in [f"{k + 1}\\pi", f"{k}", f"{k}e", f"{k * 3.14159:.3f}", f"\\frac{{\\pi}}{{{k}}}", f"\\pi^{{{k}}}"]
        ),
        (f"\\ln {k**m}", f"{m}\\ln {k}", True),
        (f"\\ln {k**m}", f"{m + 1}\\ln {k}", False),
        (f"\\log_{{{k}}} {k**m}", f"{m}", True),
        (f"\\log_{{{k}}} {k**m}", f"{m + 1}", False),
        (f"e^{{{k}}}e^{{{m}}}", f"e^{{{k + m}}}", True),
        (f"e^{{{k}}}+e^{{{m}}}", f"e^{{{k + m}}}", False),
        (f"\\cos\\frac{{\\pi}}{{{k}}}", f"\\sin\\left(\\frac{{\\pi}}{{2}}-\\frac{{\\pi}}{{{k}}}\\right)", True),
        (f"\\cos\\frac{{\\pi}}{{{k + 1}}}", f"-\\cos\\frac{{\\pi}}{{{k + 1}}}", k == 1),
        (f"{k * m}^\\circ", f"{k * m}°", True),
        (f"{k * m}^\\circ", f"{k * m + 1}^\\circ", False),
        (f"\\tan {k}^\\circ", f"\\frac{{\\sin {k}^\\circ}}{{\\cos {k}^\\circ}}", True),
        (f"e^{{{k}i\\pi}}", "1" if k % 2 == 0 else "-1", True),
        (f"({k}+{m}i)^2", f"{k * k - m * m}+{2 * k * m}i", True),
        (f"({k}+{m}i)^2", f"{k * k + m * m}+{2 * k * m}i", False),
        (f"\\frac{{1}}{{{k}+{m}i}}", f"\\frac{{{k}-{m}i}}{{{k * k + m * m}}}", True),
    ]


def polynomials(r):
    a, b, c = r.randint(1, 9), r.randint(1, 9), r.randint(2, 6)
    x, y = r.sample(["x", "y", "z", "t", "n", "a", "b", "p"], 2)
    expanded = f"{x}^2+{a + b}{x}+{a * b}"
    return [
        (expanded, f"({x}+{a})({x}+{b})", True),
        (expanded, f"{a * b}+{a + b}*{x}+{x}**2", True),
        (expanded, f"\\left({x}+\\frac{{{a + b}}}{{2}}\\right)^2-\\frac{{{(a - b) ** 2}}}{{4}}", True),
        (expanded, f"{x}^{{2}} + {a + b}{x} + {a * b}", True),
        (expanded, f"{x}^2+{a + b}{x}+{a * b + 1}", False),
        (expanded, f"{x}^2-{a + b}{x}+{a * b}", False),
        (expanded, f"{y}^2+{a + b}{y}+{a * b}", False),
        (expanded, f"{expanded}=0", False),
        (f"\\frac{{{x}^{c}-{a**c}}}{{{x}-{a}}}", "+".join(f"{a**k}{x}^{{{c - 1 - k}}}" for k in range(c)), True),
        (f"({x}-{y})^2", f"({y}-{x})^2", True),
        (f"({x}-{y})^3", f"({y}-{x})^3", False),
        (f"\\frac{{{x}}}{{{y}}}", f"{x}/{y}", True),
        (f"\\frac{{{x}}}{{{y}}}", f"{y}/{x}", False),
        (f"\\sqrt{{{x}^2}}", f"|{x}|", True),
        (f"\\sqrt{{{x}^2}}", f"{x}", False),
        (f"\\sin^2 {x}", f"1-\\cos^2 {x}", True),
        (f"2\\sin {x}\\cos {x}", f"\\sin(2{x})", True),
        (f"2\\sin {x}\\cos {x}", f"\\sin({x})^2", False),
        (f"\\frac{{1}}{{{x}}}+\\frac{{1}}{{{y}}}", f"\\frac{{{x}+{y}}}{{{x}{y}}}", True),
        (f"\\frac{{1}}{{{x}}}+\\frac{{1}}{{{y}}}", f"\\frac{{1}}{{{x}+{y}}}", False),
        (f"{a}^{{{x}}}\\cdot {a}^{{{y}}}", f"{a}^{{{x}+{y}}}", True),
        (f"{a + 1}^{{{x}}}+{a + 1}^{{{y}}}", f"{a + 1}^{{{x}+{y}}}", False),
        (f"f({x})={a}{x}+{b}", f"f({y})={a}{y}+{b}", True),
        (f"f({x})={a}{x}+{b}", f"{a}{x}+{b}", True),
        (f"f({x})={a}{x}+{b}", f"f({y})={b + 10}{y}+{b}", False),
        (f"\\frac{{{x}^2}}{{2}}+C", f"\\frac12 {x}^2+K", True),
    ]


def sums(r):
    n = r.randint(5, 40)
    k = r.randint(2, min(5, n - 1))
    return [
        (f"\\binom{{{n}}}{{{k}}}", f"\\frac{{{n}!}}{{{k}!({n}-{k})!}}", True),
        (f"\\binom{{{n}}}{{{k}}}", f"C_{{{n}}}^{{{k}}}", True),
        (f"\\binom{{{n}}}{{{k}}}", f"\\binom{{{n}}}{{{n - k}}}", True),
        (f"\\binom{{{n}}}{{{k}}}", f"\\binom{{{n + 1}}}{{{k}}}", False),
        (f"\\sum_{{i=1}}^{{{n}}} i", f"{n * (n + 1) // 2}", True),
        (f"\\sum_{{i=1}}^{{{n}}} i", f"{n * (n - 1) // 2}", False),
        (r"\sum_{k=1}^{n} k^2", r"\frac{n(n+1)(2n+1)}{6}", True),
        (r"\sum_{k=1}^{n} k^2", r"\frac{n(n+1)(n+2)}{6}", False),
        (r"(n+1)!", r"(n+1)\cdot n!", True),
        (r"(n+1)!", r"n\cdot n!", False),
        (r"\binom{n}{2}", r"\frac{n(n-1)}{2}", True),
        (r"\binom{n}{2}", r"\frac{n(n+1)}{2}", False),
        (f"\\prod_{{i=1}}^{{{k}}} i", f"{k}!", True),
        (f"\\lfloor {n}.5 \\rfloor", f"{n}", True),
        (f"\\lceil {n}.5 \\rceil", f"{n}", False),
    ]


def intervals(r):
    a, b = sorted(r.sample(range(-20, 20), 2))
    c = r.randint(1, 9)
    return [
        (f"({a},{b})", f"{a}<x<{b}", True),
        (f"[{a},{b})", f"{a}\\le x<{b}", True),
        (f"[{a},{b})", f"x\\in[{a},{b})", True),
        (f"[{a},{b}]", f"\\{{x \\mid {a} \\leq x \\leq {b}\\}}", True),
        (f"[{a},{b}]", f"\\left[{a},{b}\\right]", True),
        (f"({a},\\infty)", f"x>{a}", True),
        (f"({a},\\infty)", f"({a},∞)", True),
        (f"({a},\\infty)", f"({a},+\\infty)", True),
        (f"(-\\infty,{a}]", f"{a}\\ge x", True),
        (f"(-\\infty,{a}]", f"{c}x\\le {a * c}", True),
        (f"(-\\infty,{a})\\cup({b},\\infty)", f"x<{a} \\text{{ or }} x>{b}", True),
        (f"(-\\infty,{a})\\cup({b},\\infty)", f"({b},\\infty)\\cup(-\\infty,{a})", True),
        (f"x\\neq {a}", f"(-\\infty,{a})\\cup({a},\\infty)", True),
        (f"x\\neq {a}", f"\\mathbb{{R}}\\setminus\\{{{a}\\}}", True),
        (f"(-{c},{c})", f"|x|<{c}", True),
        (f"({a - c},{a + c})", f"|x-{a}|<{c}" if a >= 0 else f"|x+{-a}|<{c}", True),
        (f"({a},{b})", f"({b},{a})", False),
        (f"({a},{b})", f"[{a},{b})", False),
        (f"({a},{b})", f"[{a},{b}]", False),
        (f"[{a},{b})", f"{a}<x<{b}", False),
        (f"({a},\\infty)", f"x\\ge {a}", False),
        (f"({a},\\infty)", f"x<{a}", False),
        (f"({a},{b})", f"\\{{{a},{b}\\}}", False),
        (f"({a},{b})", f"({a},{b + 1})", False),
        (f"(-\\infty,{a})\\cup({b},\\infty)", f"({a},{b})", False),
        (f"x>{a}", f"y>{a}", False),
    ]


def collections(r):
    items = r.sample(range(-50, 50), r.randint(2, 6))
    mixed = items[:]
    r.shuffle(mixed)
    listed = ", ".join(map(str, items))
    shuffled = ", ".join(map(str, mixed))
    roots = f"x={items[0]} \\text{{ or }} x={items[1]}"
    pair = f"({items[0]},{items[1]})"
    k = r.randint(2, 9)
    return [
        (listed, f"\\{{{shuffled}\\}}", True),
        (f"\\{{{listed}\\}}", f"\\{{{shuffled}\\}}", True),
        (listed, " and ".join(map(str, items)), True),
        (f"{items[0]},{items[1]}", roots, True),
        (pair, f"(x,y)={pair}", True),
        (pair, f"\\left( {items[0]}, {items[1]} \\right)", True),
        (pair, f"x={items[0]}, y={items[1]}", True),
        (f"({listed})", f"({listed.replace(', ', ';')})", True),
        (f"{pair},({k},{k})", f"({k},{k}),{pair}", True),
        (f"{k},-{k}", f"\\pm {k}", True),
        (listed, ", ".join(map(str, items[:-1])), False),
        (listed, f"{listed}, 777", False),
        (listed, ", ".join([str(items[0])] * len(items)), False),
        (f"\\{{{listed}\\}}", f"({listed})", False),
        (pair, f"({items[1]},{items[0]})", False),
        (f"{k}", f"\\pm {k}", False),
        (f"{k}", f"{k},{k + 1}", False),
        (f"{items[0]}", roots, False),
        (pair, f"x={items[1]}, y={items[0]}", False),
    ]


def matrices(r):
    rows = [[r.randint(-9, 9) for _ in range(2)] for _ in range(2)]
    if rows[0][1] == rows[1][0]:
        rows[0][1] += 1

    def write(m, kind="pmatrix"):
        return f"\\begin{{{kind}}}" + r" \\ ".join(" & ".join(map(str, row)) for row in m) + f"\\end{{{kind}}}"

    other = [row[:] for row in rows]
    other[1][1] += 1
    array = r"\left(\begin{array}{cc}" + r"\\".join("&".join(map(str, row)) for row in rows) + r"\end{array}\right)"
    transposed = [list(column) for column in zip(*rows, strict=True)]
    return [
        (write(rows), write(rows, "bmatrix"), True),
        (write(rows), array, True),
        (write(rows), write(other), False),
        (write(rows), write(transposed), False),
        (write([rows[0]]), write([[x] for x in rows[0]]), False),
        (write([[x] for x in rows[0]]), f"({rows[0][0]},{rows[0][1]})", True),
        (f"\\langle {rows[0][0]}, {rows[0][1]}\\rangle", f"({rows[0][0]},{rows[0][1]})", True),
    ]


def equations(r):
    a, b, c, k = (r.randint(2, 9) for _ in range(4))
    return [
        (f"{a}x+{b}y={c}", f"{a * k}x+{b * k}y={c * k}", True),
        (f"{a}x+{b}y={c}", f"{a}x+{b}y-{c}=0", True),
        (f"{a}x+{b}y={c}", f"y=\\frac{{{c}-{a}x}}{{{b}}}", True),
        (f"{a}x+{b}y={c}", f"{a}x+{b}y={c + 1}", False),
        (f"{a}x+{b}y={c}", f"{a}x-{b}y={c}", False),
        (f"{a}x+{b}y={c}", f"{a}x+{b}y", False),
        (f"y={a}x+{b}", f"f(x)={a}x+{b}", True),
        (f"y={a}x+{b}", f"y={a}x-{b}", False),
        (f"\\frac{{x^2}}{{{a * a}}}+\\frac{{y^2}}{{{b * b}}}=1", f"{b * b}x^2+{a * a}y^2={a * a * b * b}", True),
        (f"{a}x+{b}y<{c}", f"{c}>{a}x+{b}y", True),
        (f"{a}x+{b}y<{c}", f"{a}x+{b}y>{c}", False),
        (f"{a}x+{b}y<{c}", f"{a * k}x+{b * k}y<{c * k}", True),
        (f"x={a}", f"{a}", True),
        (f"x={a}", f"y={a}", False),
        (f"x={a}", f"x={a + 1}", False),
        (f"{a}:{b}", f"{a * k}:{b * k}", True),
        (f"{a}:{b + 10}", f"{b + 10}:{a}", False),
        (f"{a}", f"{a}={a + 1}", False),
        (f"{a}", f"{a + 1}={a}", False),
    ]


def quantities(r):
    n = r.randint(2, 500)
    h, m = r.randint(1, 11), r.randint(10, 59)
    base = r.choice([2, 3, 5, 7, 8])
    digits, rest = "", n
    while rest:
        digits, rest = str(rest % base) + digits, rest // base
    letter = r.choice("ABCDE")
    return [
        (f"{n}\\text{{ km}}", f"{n} kilometers", True),
        (f"{n}\\text{{ km}}", f"{n * 1000} m", True),
        (f"{n}\\text{{ cm}}^2", f"{n} cm^2", True),
        (f"{n}\\text{{ weeks}}", f"{n} weeks", True),
        (f"\\${n}", f"{n}", True),
        (f"{n} dollars", f"\\${n}.00", True),
        (f"{n}\\%", f"{n} percent", True),
        (f"{n}\\text{{ km}}", f"{n}\\text{{ m}}", False),
        (f"{n}\\text{{ cm}}^2", f"{n}\\text{{ cm}}^3", False),
        (f"\\${n}", f"{n} cents", False),
        (f"{n}\\%", f"\\frac{{{n}}}{{100}}", False),
        (f"{h + 12}:{m}", f"{h}:{m} p.m.", True),
        (f"{h + 12}:{m}", f"{h}:{m} a.m.", False),
        (f"{digits}_{base}", f"{n}_{{10}}", True),
        (f"{digits}_{{{base}}}", f"{digits}_{{{base + 1}}}", n < base),
        (f"{digits}_{base}", f"{digits}", n < base),
        (letter, f"\\text{{({letter})}}", True),
        (letter, f"{letter}. {n}", True),
        (letter, chr(ord(letter) + 1), False),
        ("\\text{yes}", "Yes.", True),
        ("\\text{yes}", "no", False),
        ("\\text{yes}", "yes or no", False),
        ("\\text{yes}", "not yes", False),
    ]


GENERATORS = {
    f.__name__: f
    for f in (
        integers,
        rationals,
        magnitudes,
        radicals,
        transcendental,
        polynomials,
        sums,
        intervals,
        collections,
        matrices,
        equations,
        quantities,
    )
}
