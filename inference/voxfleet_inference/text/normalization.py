"""Text normalization of one sentence: numbers, dates, money, units and signs become words.

Knows: our rules (rule_table) and, after them, the steps of VoxCPM's reference implementation around wetext, for Chinese
and for English, and which part of a mixed sentence is which. The first call loads wetext and its data unless
`load` has: call both from a thread. A step that fails is skipped; no sentence raises.
Does not know: Markdown, sentence boundaries or requests.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from voxfleet_inference.text.numbers.english import spell_out_numbers
from voxfleet_inference.text.rule import applied
from voxfleet_inference.text.rule_table import rules_of
from voxfleet_inference.text.sentence_ends import WIDE

_CHINESE: Final = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]")
_YUAN_ALONE: Final = re.compile(r"[^A-Za-z]*[￥¥][^A-Za-z]*")  # a price tag without words is Chinese
_CHINESE_MARK: Final = re.compile(r"[，。！？；：、]")
_ENGLISH_WORD: Final = re.compile(r"(?<![\dA-Za-z])[A-Za-z]{2,}")  # no unit after a number
_PLAIN_WORD: Final = re.compile(r"(?<![A-Za-z\d])[a-z]{2,}(?![A-Za-z])")  # none in a name, such as iPhone Pro Max
_BESIDE_CHINESE: Final = re.compile(r"\d[\d.,:%]{0,20}")  # a number written without a space belongs to what it touches
_ENGLISH_GRAMMAR: Final = re.compile(  # words that only an English clause has: names and terms in Chinese have none
    r"(?<![A-Za-z])(?:the|an|is|are|was|were|of|for|in|on|at|to|and|with|my|your|it|you|we|they|have|has"
    r"|I['’]m|I['’]ll|(?:it|he|she|that|there)['’]s|(?:you|we|they)['’]re|don['’]t)(?![A-Za-z])",
    re.IGNORECASE,
)
_CLAUSE_WORDS: Final = 3  # a run of at least so many English words is a clause whose numbers are English
_CHARACTERS_OF_WORD: Final = 1.5  # Chinese ones, about
_PARTS: Final = re.compile(r"([^\u3000-\u303f\u3400-\u9fff\uff00-\uff60\U00020000-\U0003ffff]+)")
_CALCULATED: Final = re.compile(r"[\d$%^*_+≥≤≠×÷?=]")
_NAME_BEFORE_NUMBER: Final = re.compile(r"(?<=[A-Z])-(?=\d)(?!.*=)")  # COVID-19 and F-16 have no minus
_HYPHEN_BEFORE_DIGIT: Final = re.compile(r"(?<=[a-zA-Z0-9])-(?=\d)")
_SPACE_BESIDE_CHINESE: Final = re.compile(r"(?<=[^\x00-\x7f]) +| +(?=[^\x00-\x7f])")
_SPACES: Final = re.compile(r"\s+")
_CHINESE_SIGNS: Final[Mapping[str, str]] = MappingProxyType(
    {"²": "平方", "³": "立方", "√": "根号", "≈": "约等于", "<": "小于"}
    | dict.fromkeys(("（", "）", "【", "】", "——"), " ")
    | {"`": ""}
)
_ENGLISH_SIGNS: Final[Mapping[str, str]] = MappingProxyType(
    {"²": " squared", "³": " cubed", "√": " square root of ", "≈": " about ", "`": "", "“": '"', "”": '"'}
)
_FULL_WIDTH: Final = str.maketrans(
    {chr(code): chr(code - 0xFEE0) for code in (*range(0xFF10, 0xFF1A), 0xFF05, 0xFF04)}
    | {chr(code): chr(code - 0xFEE0) for code in (*range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B))}
    | {"µ": "μ"}
)
_FULL_WIDTH_SIGN: Final = re.compile(r"[＋＝＜＞＆＃＠／－]|(?<=\d)[．：](?=\d)")
_SPACE_IN_AMOUNT: Final = re.compile(r"(?<=\d) (?=%(?! ?\d)|[℃℉]|°[CF])|(?<=[$€£￥¥]) (?=\d)(?<!\d. )")
# Many write a space between Chinese and a number, and 2024 年 is read as 2024年 is.
_SPACE_AT_NUMBER: Final = re.compile(
    r"(?<=[\u3400-\u9fff]) (?=[\d$€£￥¥+-]|[A-Z]{1,4}\d|[A-Z]·|[IVX]{1,5}(?![A-Za-z]))"
    r"|(?<=[\d%℃‰°]) (?=[\u3400-\u9fff])"
    r"|(?<=[IVXQ]{2}) (?=[\u3400-\u9fff])|(?<=\bI) (?=[\u3400-\u9fff])"
)
_SUPERSCRIPTS: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺₀₁₂₃₄₅₆₇₈₉", "0123456789-+0123456789")
_SUPERSCRIPT: Final = re.compile(r"[⁰¹²³⁴-⁹⁻⁺]+")
_SUBSCRIPT: Final = re.compile(r"(?<=[A-Za-z)])[₀-₉]+")
LANGUAGES: Final = ("en", "zh")
_wetext_lock: Final = threading.Lock()  # wetext does not document whether threads may share its automata


def load() -> None:
    """Load wetext and its data: half a second, which the first sentence would wait for, and 40 MB."""
    for language in LANGUAGES:
        _wetext(language)


def normalized(sentence: str, *, has_rules: bool = True, language: str = "en") -> str:
    """Return the sentence with words for numbers and signs; one without letters and digits stays as it is.

    Args:
        sentence: plain text.
        has_rules: whether our rules run before wetext; False shows what wetext alone reads.
        language: of a sentence that has no words of its own.
    """
    clean = _plain_scripts(_SPACES.sub(" ", sentence).strip().translate(_FULL_WIDTH))
    if has_rules:
        clean = _FULL_WIDTH_SIGN.sub(lambda found: chr(ord(found[0]) - 0xFEE0), clean)
        clean = _SPACE_IN_AMOUNT.sub("", clean)
    if (language_of(clean) or language) == "en":
        return _non_empty(sentence, _english(clean, has_rules))
    if has_rules and not _is_mostly_english(clean):
        clean = _SPACE_AT_NUMBER.sub("", clean)
    return _non_empty(sentence, "".join(_normalized_part(part, has_rules) for part in _by_language(clean)))


def _plain_scripts(text: str) -> str:
    """Return the text with powers as `^8` and indices as digits; the marks of squares and cubes stay."""
    text = _SUBSCRIPT.sub(lambda found: found[0].translate(_SUPERSCRIPTS), text)
    return _SUPERSCRIPT.sub(_superscript, text)


def _superscript(found: re.Match[str]) -> str:
    is_square_or_cube = found[0] in "²³" and not found.string.endswith("10", 0, found.start())
    return found[0] if is_square_or_cube else f"^{found[0].translate(_SUPERSCRIPTS)}"


def language_of(text: str) -> str | None:
    """Return the language of a sentence, `zh` if a part of it is Chinese; None if it has only numbers and signs."""
    if _CHINESE.search(text) or _YUAN_ALONE.fullmatch(text):
        return "zh"
    if _ENGLISH_WORD.search(text):
        return "en"
    return "zh" if _CHINESE_MARK.search(text) else None


def _non_empty(before: str, after: str) -> str:
    """Return `after` with single spaces; `before` if nothing that can be spoken is left."""
    collapsed = _SPACES.sub(" ", after).strip()
    return collapsed if any(each.isalnum() for each in collapsed) else before


def _by_language(text: str) -> list[tuple[str, bool]]:
    """Split a mixed sentence; each part says whether it is an English clause (a single name belongs to the Chinese)."""
    least = 1 if _is_mostly_english(text) else _CLAUSE_WORDS
    parts: list[tuple[str, bool]] = []
    for piece in filter(None, _PARTS.split(text)):
        is_english = not WIDE.search(piece) and (
            (len(_ENGLISH_WORD.findall(piece)) >= least and (least == 1 or bool(_PLAIN_WORD.search(piece))))
            or bool(_ENGLISH_GRAMMAR.search(piece))
        )
        touching = _BESIDE_CHINESE.match(piece) if is_english and parts and _CHINESE.search(parts[-1][0][-1:]) else None
        if touching:
            parts[-1] = (parts[-1][0] + touching[0], False)
            piece = piece[touching.end() :]  # noqa: PLW2901 - the rest of it
        if parts and not parts[-1][1] and not is_english:
            parts[-1] = (parts[-1][0] + piece, False)
        else:
            parts.append((piece, is_english))
    return parts


def _is_mostly_english(text: str) -> bool:
    """Return whether a mixed sentence is an English one with Chinese words in it."""
    words = len(_ENGLISH_WORD.findall(text))
    least = 1 if _ENGLISH_GRAMMAR.search(text) else _CLAUSE_WORDS - 1  # a name of two words makes no English clause
    if not _PLAIN_WORD.search(text):
        return False
    return words > max(least, len(_CHINESE.findall(text)) / _CHARACTERS_OF_WORD)


def _normalized_part(part: tuple[str, bool], has_rules: bool) -> str:  # noqa: FBT001 - passed on
    text, is_english = part
    return _english(text.replace("¥", "￥"), has_rules) if is_english else _chinese(text, has_rules)  # yuan, not yen


def _chinese(text: str, has_rules: bool) -> str:  # noqa: FBT001 - as above
    if has_rules:
        text = _NAME_BEFORE_NUMBER.sub(" ", applied(rules_of("zh"), text))
    text = text.replace("=", "等于")
    if _CALCULATED.search(text):
        text = _HYPHEN_BEFORE_DIGIT.sub(" - ", text)  # or wetext reads x-2 as x, minus two
    text = _SPACE_BESIDE_CHINESE.sub("", _by_wetext(text, "zh"))
    return _replaced(text, _CHINESE_SIGNS)


def _english(text: str, has_rules: bool) -> str:  # noqa: FBT001 - as above
    if has_rules:
        text = _SPACES.sub(" ", applied(rules_of("en"), text))
    return spell_out_numbers(_replaced(_by_wetext(text, "en"), _ENGLISH_SIGNS))


def _replaced(text: str, signs: Mapping[str, str]) -> str:
    for sign, words in signs.items():
        text = text.replace(sign, words)
    return text


def _by_wetext(text: str, language: str) -> str:
    """Return wetext's normalization; the white space around the text stays, since it separates parts."""
    inner = text.strip()
    if not inner:
        return text
    try:
        with _wetext_lock:
            spoken: str = _wetext(language)(inner)
    except Exception:  # noqa: BLE001 - a sentence that wetext cannot parse is spoken unchanged
        return text
    if "\\" not in inner:
        spoken = spoken.replace("\\", "")  # wetext escapes straight quotes
    return text.replace(inner, spoken, 1) if spoken.strip() else text


@functools.cache
def _wetext(language: str) -> Callable[[str], str]:
    from wetext import Normalizer  # noqa: PLC0415 - few requests need it

    options: dict[str, Any] = {"remove_erhua": True} if language == "zh" else {}
    normalize: Callable[[str], str] = Normalizer(lang=language, operator="tn", **options).normalize
    return normalize
