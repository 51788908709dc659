"""What signs, words and commands of mathematics are called: the tables of the lexer and the parser."""

from __future__ import annotations

import re

from plaudit.verify._syntax import INFINITY, PI, E

SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿⁱ", "0123456789+-ni")
SUBSCRIPT = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋ₙᵢ", "0123456789+-ni")
RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿⁱ]+")
LOWERED = re.compile("[₀₁₂₃₄₅₆₇₈₉₊₋ₙᵢ]+")
GREEK_SIGNS = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta", "ι": "iota",
    "κ": "kappa", "λ": "lambda", "μ": "mu", "µ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau",
    "φ": "phi", "ϕ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda",
    "Σ": "Sigma", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega",
}  # fmt: skip
SIGNS = {
    "−": "-", "–": "-", "‐": "-", "‑": "-", "﹣": "-", "－": "-", "＋": "+", "×": r"\times ", "·": r"\cdot ", "∙": r"\cdot ",
    "⋅": r"\cdot ", "∗": "*", "÷": r"\div ", "√": r"\sqrt ", "∛": r"\sqrt[3] ", "∞": r"\infty ", "°": r"^\circ ", "≤": r"\le ",
    "≥": r"\ge ", "⩽": r"\le ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "≡": r"\equiv ", "∈": r"\in ", "∪": r"\cup ",
    "∩": r"\cap ", "∅": r"\emptyset ", "±": r"\pm ", "∓": r"\mp ", "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}",
    "½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}", "⅛": r"\frac{1}{8}",
    "，": ",", "；": ";", "：": ":", "（": "(", "）": ")", "［": "[", "］": "]", "｛": "{", "｝": "}", "＝": "=", "％": "%",
    "．": ".",
    "、": ",", "′": "'", "’": "'", "‘": "'", "∣": "|", "⟨": r"\langle ", "⟩": r"\rangle ", "⌊": r"\lfloor ", "⌋": r"\rfloor ",
    "⌈": r"\lceil ", "⌉": r"\rceil ", "…": r"\ldots ", "⋯": r"\ldots ", "→": r"\to ", "∑": r"\sum ", "∏": r"\prod ",
    "∫": r"\int ", "∧": r"\land ", "∨": r"\lor ", "⇒": r"\Rightarrow ",
}  # fmt: skip
TRANSLATION = str.maketrans(
    SIGNS
    | {letter: f"\\{name} " for letter, name in GREEK_SIGNS.items()}
    | {chr(0xFF10 + k): str(k) for k in range(10)}
    | dict.fromkeys("\u00a0\u202f\u2009\u2007\u3000\u2002\u2003", " ")
    | dict.fromkeys("\u200b\u200c\u200d\ufeff\u2060", "")
)

RENAMED = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "le": "leq", "leqslant": "leq", "leqq": "leq", "ge": "geq",
    "geqslant": "geq", "geqq": "geq", "ne": "neq", "lt": "<", "gt": ">", "times": "*", "cdot": "*", "ast": "*", "div": "/",
    "varnothing": "emptyset", "dots": "ldots", "cdots": "ldots", "dotsc": "ldots", "dotsb": "ldots", "lbrace": r"\{",
    "rbrace": r"\}", "lvert": "|", "rvert": "|", "vert": "|", "mid": "|", "lbrack": "[", "rbrack": "]", "dbinom": "binom",
    "tbinom": "binom", "varphi": "phi", "varepsilon": "epsilon", "vartheta": "theta", "rightarrow": "to", "land": "and",
    "wedge": "and", "lor": "or", "vee": "or", "setminus": "backslash", "smallsetminus": "backslash", "arcsinh": "asinh",
    "iff": "Leftrightarrow", "implies": "Rightarrow", "exponentialE": "e", "colon": ":", "lg": "log10", "infin": "infty",
    "degree": "circ", "percent": "%", "tg": "tan", "ctg": "cot", "cosec": "csc", "arctg": "arctan", "sim": "approx",
    "simeq": "approx", "cong": "approx", "thickapprox": "approx", "sinus": "sin", "cosinus": "cos", "doteq": "approx",
    "bold": "mathbf", "lparen": "(", "rparen": ")", "intop": "int", "smallint": "int", "coloneqq": "=",
}  # fmt: skip
DROPPED_LIST = """
    left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr middle displaystyle textstyle scriptstyle
    limits nolimits quad qquad thinspace enspace medspace negthinspace hfill hspace vspace phantom mathstrut strut
    nonumber notag rm it bf tt sf sc normalfont large Large small centering noindent allowbreak
"""
DROPPED = frozenset(DROPPED_LIST.split())
FONTS_LIST = """
    mathbf mathit mathsf mathtt mathcal mathscr mathfrak boldsymbol bm pmb mathnormal boxed fbox
"""
FONTS = frozenset(FONTS_LIST.split())
TEXTS = frozenset(
    ["text", "textbf", "textit", "textrm", "textsf", "texttt", "textnormal", "mbox", "hbox", "operatorname", "mathrm"]
)
ACCENTS = frozenset(["vec", "hat", "overrightarrow", "bar", "tilde", "dot", "widehat", "widetilde"])

UNIT_VECTORS = ("i", "j", "k", r"\imath", r"\jmath")

KNOWN_LIST = """
    frac dfrac tfrac cfrac sqrt le leq ge geq ne neq lt gt times cdot div pi infty in cup cap pm mp text textbf textit
    textrm mathrm mathbf mathbb left right boxed circ sin cos tan cot sec csc log ln exp binom overline lfloor rfloor
    lceil rceil emptyset varnothing alpha beta theta lambda mu sum prod int lim to approx langle rangle ldots cdots dots
    begin end displaystyle quad operatorname vec angle
"""
KNOWN = frozenset(KNOWN_LIST.split())
DOUBLED = re.compile(r"\\\\(?=([A-Za-z]{2,}))")
ROW_END = re.compile(r"\\begin\{")

FUNCTIONS_LIST = """
    sin cos tan cot sec csc sinh cosh tanh coth arcsin arccos arctan arccot asinh acosh atanh arsinh arcosh artanh ln log
    log10 exp abs floor ceil sgn sign gcd lcm max min Re Im
"""
FUNCTIONS = frozenset(FUNCTIONS_LIST.split())
ALIASES = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "arsinh": "asinh", "arcosh": "acosh", "artanh": "atanh",
    "ceiling": "ceil", "sign": "sgn",
}  # fmt: skip
INVERSES = {
    "sin": "arcsin", "cos": "arccos", "tan": "arctan", "cot": "arccot", "sinh": "asinh", "cosh": "acosh", "tanh": "atanh",
}  # fmt: skip
GREEK_LIST = """
    alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau phi chi psi omega Gamma Delta
    Theta Lambda Sigma Phi Psi Omega ell hbar partial nabla
"""
GREEK = frozenset(GREEK_LIST.split())
CONSTANTS = {"pi": PI, "infty": INFINITY, "infinity": INFINITY, "inf": INFINITY, "oo": INFINITY, "e": E, "Pi": PI}
