r"""Formulas in LaTeX's notation as plain signs: `$\frac{a}{2} \leq x^2$` becomes `a⁄2 ≤ x^2`.

Knows: the delimiters that chat models write (`$`, `$$`, `\(`, `\[`) and the commands of school mathematics.
Does not know: how a sign is read; rules of each language do. Letters and digits of a text stay or go, none is added, so
that a client finds a sentence in the text that it sent: `\pi` is its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

# Of a single dollar the first sign inside decides: `$5 and $6` are two amounts, `$x$` and `$2x = 6$` are formulas.
_DELIMITED: Final = re.compile(
    r"\$\$(?P<display>[^$]{1,1000})\$\$|\\\[(?P<square>.{1,1000}?)\\\]|\\\((?P<round>.{1,500}?)\\\)"
    r"|(?<![\\$A-Za-z0-9])\$(?=[^\s$\d]|\d[^$\n]{0,60}[\\^_=+])(?P<dollar>[^$\n]{1,300})(?<=[^\s\\])\$(?![A-Za-z0-9$])",
    re.DOTALL,
)
_SIGNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "times": "×",
        "div": "÷",
        "cdot": "·",
        "pm": "±",
        "leq": "≤",
        "le": "≤",
        "geq": "≥",
        "ge": "≥",
        "neq": "≠",
        "ne": "≠",
    }
    | {"approx": "≈", "infty": "∞", "sum": "∑", "int": "∫", "to": "→", "rightarrow": "→", "lt": "<", "gt": ">"}
    | {
        "circ": "°",
        "ldots": "…",
        "cdots": "…",
        "dots": "…",
        "left": "",
        "right": "",
        "limits": " ",
        "displaystyle": " ",
    }
    | dict.fromkeys(("quad", "qquad"), " ")
)
_SPOKEN_NAMES: Final = (
    "alpha|beta|gamma|delta|epsilon|theta|lambda|mu|pi|rho|sigma|phi|omega|Delta|Sigma|Omega"
    "|sin|cos|tan|log|ln|exp|lim|max|min"
)
_NAMES: Final = "|".join(sorted(_SIGNS, key=len, reverse=True)) + f"|{_SPOKEN_NAMES}"
_SIGN: Final = re.compile(rf"[ ]?\\({_NAMES})(?![A-Za-z])[ ]?")
_SIGN_OUTSIDE: Final = re.compile(rf"(?<![A-Za-z:\\])\\({_NAMES})(?![A-Za-z\\])")  # not a folder of `C:\pi\max`
_FRACTION: Final = re.compile(r"\\[dt]?frac ?\{([^{}]{1,200})\} ?\{([^{}]{1,200})\}")
_ROOT: Final = re.compile(r"\\sqrt(\[3\])? ?\{([^{}]{1,200})\}")
_STYLED: Final = re.compile(
    r"\\(?:text|mathrm|mathbf|mathit|mathbb|mathcal|operatorname|boxed|textbf)\{([^{}]{0,200})\}"
)
_DEGREES: Final = re.compile(r"\^ ?(?:\{ ?\\circ ?\}|\\circ(?![A-Za-z]))")
_POWER: Final = re.compile(r"\^ ?\{([^{}]{1,100})\}")
_INDEX: Final = re.compile(r"_(?: ?\{([^{}]{1,100})\}|([A-Za-z0-9]))")
_SPACE: Final = re.compile(r"\\[,;:! ]|\\\\|&(?=\s?=)|~")
_MINUS: Final = re.compile(r"(?<![A-Za-z]{2})-(?![A-Za-z]{2})")  # no hyphen of a word
_ESCAPED: Final = re.compile(r"\\([%$&#_{}])")
_ONE_OPERAND: Final = re.compile(r"[A-Za-zα-ω]{0,8}|\d+(?:\.\d+)?[A-Za-zα-ω]?")
_DEPTH: Final = 4  # of fractions and roots inside each other


def without_latex(text: str) -> str:
    """Return the text with its formulas in plain signs, their delimiters removed."""
    if "\\" not in text and "$" not in text:
        return text
    text = _DEGREES.sub("°", text)
    text = _DELIMITED.sub(lambda found: _formula(next(filter(None, found.groups()))).strip(), text)
    return _SIGN_OUTSIDE.sub(lambda found: _sign(found[1]), _structures(text)) if "\\" in text else text


def _formula(inner: str) -> str:
    inner = _structures(_SPACE.sub(" ", inner))
    inner = _POWER.sub(lambda found: f"^{_operand(found[1])}", inner)
    inner = _INDEX.sub(lambda found: f" {found[1] or found[2]} ", inner)
    inner = _SIGN.sub(lambda found: _sign(found[1]), inner)
    inner = _MINUS.sub("−", inner)
    return _ESCAPED.sub(r"\1", inner).replace("{", "").replace("}", "").replace("\\", "")


def _sign(name: str) -> str:
    """Return what stands for a command; a name that is spoken keeps its letters."""
    sign = _SIGNS.get(name, name)
    return sign if sign == "°" else f" {sign} "


def _structures(text: str) -> str:
    for _ in range(_DEPTH if "{" in text else 0):
        text = _STYLED.sub(r"\1", text)
        text = _ROOT.sub(lambda found: f"{'∛' if found[1] else '√'}{_operand(found[2])}", text)
        text = _FRACTION.sub(_fraction, text)
    return text


def _fraction(found: re.Match[str]) -> str:
    above, below = found[1].strip(), found[2].strip()
    is_plain = above.isdigit() and below.isdigit()
    return f"{above}/{below}" if is_plain else f"{_operand(above)}⁄{_operand(below)}"


def _operand(inner: str) -> str:
    inner = inner.strip()
    return inner if _ONE_OPERAND.fullmatch(inner) else f"({inner})"
