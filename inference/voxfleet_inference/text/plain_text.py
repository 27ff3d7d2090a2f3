"""Removes what is not spoken from a text: the syntax of Markdown, HTML and SSML, emoji and emoticons.

Knows: the syntax in a README, a chat message or an SSML document. Fenced code and images are removed; inline code, the
text of links and the cells of tables stay, breaks as pause marks, and formulas as plain signs.
Does not know: numbers, languages or sentences.
"""

from __future__ import annotations

import html
import re
from typing import Final

from voxfleet_inference.text.markup.latex import without_latex
from voxfleet_inference.text.pause_marks import with_plain_pauses

# Every pattern is bounded, so that no text (such as 20 000 opening brackets) takes more than linear time.
_BLOCKS: Final = (
    (re.compile(r"^[ \t]{0,8}(```|~~~).*?(?:^[ \t]{0,8}\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE), "\n"),
    (re.compile(r"<!--.{0,2000}?-->", re.DOTALL), " "),
    (re.compile(r"^[ \t]*(?:\|[ \t]*)?:?-{2,}:?[ \t]*\|[ \t|:-]*$", re.MULTILINE), ""),
    (re.compile(r"^[ \t]*(?:[-*_=][ \t]*){3,}$", re.MULTILINE), ""),
    (re.compile(r"^[ \t]*#{1,6}[ \t]+", re.MULTILINE), ""),
    (re.compile(r"^([ \t]*)(?:[-*+•][ \t]+(?:\[[ xX]\][ \t]+)?|>[ \t]?)+", re.MULTILINE), r"\1"),
    (re.compile(r"^[ \t]*\||\|[ \t]*$", re.MULTILINE), ""),
    (re.compile(r"^([ \t]*)\[\^[^\]\s]{1,40}\]:[ \t]*", re.MULTILINE), r"\1"),
    (re.compile(r"\[\^[^\]\s]{1,40}\]"), ""),  # the mark of a footnote
)
_WRAP: Final = r"\n(?![ \t]*\n)"  # a line break inside a paragraph
_INLINE: Final = (
    (re.compile(r"!\[[^\]\n]{0,300}\]\([^()\n]{0,1000}\)"), ""),
    (
        re.compile(rf"\[((?:[^\[\]\n]|{_WRAP}){{1,300}})\](?:\([^()\n]{{0,1000}}\)|\[[^\]\n]{{0,100}}\])"),
        r"\1",
    ),
    (re.compile(r"<((?:https?://|mailto:)[^<>\s]{1,500}|[\w.+-]{1,64}@[\w.-]{1,200})>"), r"\1"),
    (re.compile(r"</?(?:p|br|div|li|tr|h[1-6]|ul|ol|blockquote|par)(?:\s[^<>\n]{0,500})?/?>", re.IGNORECASE), "\n"),
    (re.compile(r"</?s(?:\s[^<>\n]{0,500})?>|</?t[dh](?:\s[^<>\n]{0,500})?>"), " "),
    (re.compile(r"</?[A-Za-z][^<>\n]{0,500}>"), ""),
    (re.compile(r"(?<!`)(`{1,2})(?!`)(.{1,300}?)\1"), r"\2"),
    (re.compile(rf"(\*\*\*|\*\*|~~)(?=\S)((?:.|{_WRAP}){{1,500}}?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w*])\*(?=\S)([^*\n]{1,500}?)(?<=\S)\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<!\w)(__?)(?=\S)([^_\n]{1,500}?)(?<=\S)\1(?!\w)"), r"\2"),
)
# SSML 1.1: elements whose text is read in another way than it is written.
_SSML_DECLARATION: Final = re.compile(r"<\?[^<>]{0,300}\?>")
_ALIAS: Final = re.compile(r"<sub\s[^<>\n]{0,100}?alias=[\"']([^\"'<>\n]{1,300})[\"'][^<>]{0,100}>[^<>]{0,300}</sub>")
_SAY_AS: Final = re.compile(
    r"<say-as\s[^<>\n]{0,100}?interpret-as=[\"']([a-z-]{1,20})[\"'][^<>]{0,100}>([^<>]{0,300})</say-as>"
)
_SPELLED: Final = frozenset({"characters", "spell-out", "digits", "verbatim", "telephone"})
_ESCAPED: Final = re.compile(r"\\([!-/:-@\[-`{-~])")
_ESCAPES: Final = 0xF0000  # of a private plane: what is escaped is set aside while syntax is removed
_SET_ASIDE: Final = re.compile(f"[{chr(_ESCAPES)}-{chr(_ESCAPES + 0x7F)}]")
# Only those with letters, digits or `_` would be read; the others are punctuation.
_EMOTICON: Final = re.compile(
    r"(?<!\S)(?:[:;]['’]?-?[DPpOo3]|=['’]?-?[DPp]|8-[DPp]|[xX]D+|<3+|[oO][._][oO]|T[._]T|:[cC])(?![^\s.,!?)\"'”’」』，。！？])"
    r"|[\^><T][_.]{1,3}[\^><T]|¯\\_\(ツ\)_/¯"
)
_CHINESE: Final = re.compile(r"[\u3400-\u9fff]")
_CELL: Final = re.compile(r"(?<![ \t])[ \t]+\|[ \t]+")
# Characters that are emoji by default or by a following U+FE0F; of keycap emoji the digit stays.
_EMOJI: Final = re.compile(
    "(?:[\U0001f000-\U0001faff\u231a\u231b\u23e9-\u23ec\u23f0\u23f3\u25fd\u25fe\u2614\u2615\u2648-\u2653\u267f\u2693"
    "\u26a1\u26aa\u26ab\u26bd\u26be\u26c4\u26c5\u26ce\u26d4\u26ea\u26f2\u26f3\u26f5\u26fa\u26fd\u2705\u270a\u270b\u2728"
    "\u274c\u274e\u2753-\u2755\u2757\u2795-\u2797\u27b0\u27bf\u2b1b\u2b1c\u2b50\u2b55]|[\u00a9-\u3299]\ufe0f)"
    "[\u200d\ufe0e\ufe0f\U000e0020-\U000e007f]*"
)
_LEFT_OVER: Final = re.compile("[\u200b\u200d\u20e3\ufe0e\ufe0f\ufeff]")


def plain_text(text: str) -> str:
    """Return the text without syntax and emoji, its lines unchanged; the text itself if nothing else would be left."""
    plain = _SAY_AS.sub(_said, _ALIAS.sub(r"\1", _SSML_DECLARATION.sub("", with_plain_pauses(text))))
    for pattern, replacement in _BLOCKS:
        plain = pattern.sub(replacement, plain)
    plain = _EMOTICON.sub("", without_latex(plain))
    plain = _ESCAPED.sub(lambda found: chr(_ESCAPES + ord(found[1])), plain)
    for pattern, replacement in _INLINE:
        plain = pattern.sub(replacement, plain)
    plain = _SET_ASIDE.sub(lambda found: chr(ord(found[0]) - _ESCAPES), plain)
    plain = _CELL.sub(", ", html.unescape(plain))
    plain = _LEFT_OVER.sub("", _EMOJI.sub("", plain))
    return plain if any(each.isalnum() for each in plain) else text


def _said(found: re.Match[str]) -> str:
    kind, said = found.groups()
    if kind in _SPELLED:
        return " ".join(each for each in said if each.isalnum() or each == "+")
    if kind == "ordinal" and said.strip().isdigit():
        return f"第{said}" if _CHINESE.search(found.string) else _ordinal(said.strip())
    return said


def _ordinal(digits: str) -> str:
    is_teen = digits[-2:-1] == "1"
    return digits + ("th" if is_teen else {"1": "st", "2": "nd", "3": "rd"}.get(digits[-1], "th"))
