"""References into a text: sections, chapters, figures, pages and numbers of items."""

from __future__ import annotations

import re
from typing import Final

from voxfleet_inference.text.numbers import chinese, english
from voxfleet_inference.text.rule import rule

_NAMED: Final = {
    "§": "section",
    "§§": "sections",
    "fig.": "figure",
    "figs.": "figures",
    "sec.": "section",
    "sect.": "section",
    "ch.": "chapter",
    "chap.": "chapter",
    "eq.": "equation",
    "p.": "page",
    "pp.": "pages",
    "vol.": "volume",
    "vols.": "volumes",
    "no.": "number",
    "nos.": "numbers",
    "art.": "article",
    "tab.": "table",
    "ver.": "version",
    "ed.": "edition",
    "¶": "paragraph",
    "¶¶": "paragraphs",
    "para.": "paragraph",
    "paras.": "paragraphs",
    "arts.": "articles",
    "secs.": "sections",
    "cl.": "clause",
    "sch.": "schedule",
    "op.": "opus",
}
_NAMES: Final = (
    r"(?:[Ff]igs?\.|[Ss]ec(?:ts?|s)?\.|[Cc]h(?:ap)?\.|[Ee]q\.|[Pp]{1,2}\.|[Pp]aras?\.|[Cc]l\.|[Ss]ch\.|Op\."
    r"|[Vv]ols?\.|[Nn]os?\.|[Aa]rts?\.|[Tt]ab\.|[Vv]er\.|§{1,2}|¶{1,2})"
)

_BOOKS: Final = {
    "Gen": "Genesis",
    "Ex": "Exodus",
    "Exod": "Exodus",
    "Deut": "Deuteronomy",
    "Ps": "Psalm",
    "Prov": "Proverbs",
} | {
    "Isa": "Isaiah",
    "Jer": "Jeremiah",
    "Ezek": "Ezekiel",
    "Matt": "Matthew",
    "Rom": "Romans",
    "Cor": "Corinthians",
    "Gal": "Galatians",
    "Eph": "Ephesians",
    "Phil": "Philippians",
    "Heb": "Hebrews",
    "Rev": "Revelation",
}
_FULL_BOOKS: Final = (
    "Genesis|Exodus|Leviticus|Deuteronomy|Joshua|Judges|Ruth|Samuel|Kings|Job|Psalms?|Proverbs|Ecclesiastes|Isaiah|Jeremiah"
    "|Ezekiel|Daniel|Hosea|Micah|Matthew|Mark|Luke|John|Acts|Romans|Corinthians|Galatians|Ephesians|Philippians|Colossians"
    "|Timothy|Hebrews|James|Peter|Jude|Revelation|Surah?|Quran"
)


def _named(found: re.Match[str]) -> str:
    word = _NAMED[found[1].lower()]
    return (word.capitalize() if found[1][0].isupper() else word) + " "


def _scripture(found: re.Match[str]) -> str:
    book, chapter, verse, last = found.groups()
    name = _BOOKS.get(book.rstrip("."), book.rstrip("."))
    words = f"{name} {english.number_words(chapter)} {english.number_words(verse)}"
    return words + (f" to {english.number_words(last)}" if last else "")


def _english_section(found: re.Match[str]) -> str:
    return found[1] + " point ".join(english.number_words(each) for each in found[2].split("."))


def _chinese_section(found: re.Match[str]) -> str:
    return found[1] + "点".join(chinese.number_words(each) for each in found[2].split("."))


def _chinese_figure(found: re.Match[str]) -> str:
    return f"{found[1]}{chinese.number_words(found[2])}杠{chinese.number_words(found[3])}"


ENGLISH: Final = (
    rule(rf"(?<!\w)({_NAMES})\s?(?=\d)", _named, "Fig. 3", "Figure 3"),
    rule(
        rf"\b({_FULL_BOOKS}|(?:{'|'.join(_BOOKS)})\.?) (\d{{1,3}}):([1-9]\d{{0,2}})"
        r"(?:\s?[-–]\s?(\d{1,3}))?(?![\w:%]| ?[ap]\.?m)",
        _scripture,
        "Ps. 23:4",
        "Psalm twenty-three four",
    ),
    rule(r"(?<![\w#&])#(?=\d)", lambda _: "number ", "#1", "number 1"),
    rule(r"(?<![A-Za-z])([A-G])#(?![\w#])", lambda found: f"{found[1]} sharp", "C#", "C sharp"),
    rule(
        r"\b([Ss]ections? |[Cc]hapters? |[Cc]lauses? |[Ff]igures? |[Tt]ables? |[Pp]aragraphs? )(\d+(?:\.\d+)+)(?!\w)",
        _english_section,
        "Section 3.12",
        "Section three point twelve",
    ),
)
CHINESE: Final = (
    rule(
        r"(?<![\d.])(\d|初[一二三]|高[一二三]|[一二三四五六])[（(](\d{1,2})[)）](?=班)",
        lambda found: (
            (chinese.number_words(found[1]) if found[1].isascii() else found[1]) + chinese.number_words(found[2])
        ),
        "5（3）班",
        "五三班",
    ),
    rule(r"(?<![A-Za-z])([A-G])#(?![\w#])", lambda found: f"{found[1]} sharp", "C#语言", "C sharp语言"),
    rule(
        r"§\s?(\d+(?:\.\d+)*)",
        lambda found: "第" + "点".join(chinese.number_words(each) for each in found[1].split(".")) + "节",
        "见§3.2",
        "见第三点二节",
    ),
    rule(r"(第|图|表|式|附录|附表|例)\s?(\d+(?:\.\d+)+)(?![\d%])", _chinese_section, "第3.2.1节", "第三点二点一节"),
    rule(r"(图|表|式|附图|附表|例)\s?(\d+)[-–](\d+)(?![\d.%-])", _chinese_figure, "图3-1", "图三杠一"),
    rule(r"(?<![\w.])()(\d+(?:\.\d+)+)(?=[节章条款小]|小节)", _chinese_section, "3.2节", "三点二节"),
    rule(
        r"第(\d+)\s?[-–—~～、]\s?(?=第?\d+[章节页条款回集届期课题名位天周年季层組组排轮批站场局关楼号])",
        lambda found: f"第{chinese.number_words(found[1])}到",
        "第3-5章",
        "第三到5章",
    ),
    rule(
        r"第(\d{1,4})(?![\d.,/~～—–-])",  # wetext reads 第2层 as a count
        lambda found: f"第{chinese.number_words(found[1])}",
        "第2层",
        "第二层",
    ),
    rule(r"[Nn][Oo]\.\s?(\d+)", lambda found: f"第{chinese.number_words(found[1])}", "No.1", "第一"),
    rule(
        r"\b[Pp]\.?\s?(\d+)(?=页|\b)(?=[，。、）)]|页)页?",
        lambda found: f"第{chinese.number_words(found[1])}页",
        "见P12。",
        "见第十二页。",
    ),
)
