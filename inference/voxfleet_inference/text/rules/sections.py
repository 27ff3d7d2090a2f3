"""References into a text: sections, chapters, figures, pages, numbers of items, Roman numerals of rulers and parts."""

from __future__ import annotations

import re
import unicodedata
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
}
_NAMES: Final = (
    r"(?:[Ff]igs?\.|[Ss]ec(?:ts?|s)?\.|[Cc]h(?:ap)?\.|[Ee]q\.|[Pp]{1,2}\.|[Pp]aras?\.|[Cc]l\.|[Ss]ch\."
    r"|[Vv]ols?\.|[Nn]os?\.|[Aa]rts?\.|[Tt]ab\.|[Vv]er\.|§{1,2}|¶{1,2})"
)
_ROMAN_VALUES: Final = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
_ROMAN: Final = r"((?![CL]\b)C{0,3}(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3}))"  # C and L alone are letters
_ROMAN_SIGNS: Final = "Ⅰ-Ⅻⅰ-ⅻ"
_CHINESE_RULERS: Final = (
    "路易|亨利|伊丽莎白|乔治|爱德华|查理|查尔斯|威廉|理查|理查德|腓力|彼得|亚历山大|尼古拉|拿破仑|庇护|本笃|保罗|利奥"
)
_RULERS: Final = (
    "Henry|Louis|George|Edward|Elizabeth|Charles|James|William|Richard|Philip|Frederick|Catherine|Peter|Alexander"
    "|Nicholas|Pius|Benedict|John Paul|Napoleon|Ramses|Rameses|Leo|Gregory|Innocent|Mary|Margrethe|Ivan|Wilhelm"
)
_PARTS: Final = (
    "Chapter|Part|Volume|Act|Scene|Book|Article|Appendix|Section|Type|Phase|Stage|World War|Title|Class|Super Bowl"
    "|Psalm|Canto|Sonnet|Grade|Tier|Level"
)


def _roman(letters: str) -> int:
    values = [_ROMAN_VALUES[each] for each in letters]
    return sum(-value if value < max(values[index:]) else value for index, value in enumerate(values))


def _named(found: re.Match[str]) -> str:
    word = _NAMED[found[1].lower()]
    return (word.capitalize() if found[1][0].isupper() else word) + " "


def _part(found: re.Match[str]) -> str:
    return f"{found[1]} {english.number_words(str(_roman(found[2])))}" if found[2] else found[0]


def _part_of_name(found: re.Match[str]) -> str:
    return found[1] + english.number_words(str(_roman(found[2])))


def _small_part(found: re.Match[str]) -> str:
    letters = found[2].upper()
    is_roman = re.fullmatch(_ROMAN, letters) is not None
    name = _NAMED.get(found[1], found[1])
    return f"{name} {english.number_words(str(_roman(letters)))}" if is_roman else found[0]


def _chinese_part(found: re.Match[str]) -> str:
    return f"{found[1]}{chinese.number_words(str(_roman(found[2])))}" if found[2] else found[0]


def _ruler(found: re.Match[str]) -> str:
    return f"{found[1]} the {english.ordinal_words(_roman(found[2]))}" if found[2] else found[0]


def _chinese_roman_sign(found: re.Match[str]) -> str:
    return chinese.number_words(str(_roman(unicodedata.normalize("NFKC", found[0]).upper())))


def _english_section(found: re.Match[str]) -> str:
    return found[1] + " point ".join(english.number_words(each) for each in found[2].split("."))


def _chinese_section(found: re.Match[str]) -> str:
    return found[1] + "点".join(chinese.number_words(each) for each in found[2].split("."))


def _chinese_figure(found: re.Match[str]) -> str:
    return f"{found[1]}{chinese.number_words(found[2])}杠{chinese.number_words(found[3])}"


ENGLISH: Final = (
    rule(f"[{_ROMAN_SIGNS}]", lambda found: unicodedata.normalize("NFKC", found[0]), "Chapter Ⅳ", "Chapter IV"),
    rule(rf"(?<!\w)({_NAMES})\s?(?=\d)", _named, "Fig. 3", "Figure 3"),
    rule(r"(?<![\w#&])#(?=\d)", lambda _: "number ", "#1", "number 1"),
    rule(r"(?<![A-Za-z])([A-G])#(?![\w#])", lambda found: f"{found[1]} sharp", "C#", "C sharp"),
    rule(rf"\b({_RULERS}) {_ROMAN}\b", _ruler, "Henry VIII", "Henry the eighth"),
    rule(rf"\b({_PARTS}) {_ROMAN}\b(?![.'’]\w)", _part, "World War II", "World War two"),
    rule(
        rf"\b({_PARTS.lower()}|pages?|pp?\.|{_PARTS}) "
        r"(?=[ivx]{2}|[IVX]{2}|[ivIVX](?:[,.;:)]|$))([ivx]{1,6}|[IVX]{1,6})\b(?!['’.]\w)",
        _small_part,
        "stage III, scene ii",
        "stage three, scene two",
    ),
    rule(r"(\b[A-Z][a-z]+ )(?=I[IVX]|VI|X[IV])" + _ROMAN + r"\b(?!['’.]\w)", _part_of_name, "Rocky IV", "Rocky four"),
    rule(
        r"\b([Ss]ections? |[Cc]hapters? |[Cc]lauses? |[Ff]igures? |[Tt]ables? |[Pp]aragraphs? )(\d+(?:\.\d+)+)(?!\w)",
        _english_section,
        "Section 3.12",
        "Section three point twelve",
    ),
)
CHINESE: Final = (
    rule(f"[{_ROMAN_SIGNS}]", _chinese_roman_sign, "第Ⅳ章", "第四章"),
    rule(rf"(第\s?){_ROMAN}(?=\s?[一-鿿])", _chinese_part, "第III期", "第三期"),
    rule(rf"({_CHINESE_RULERS}){_ROMAN}(?![A-Za-z\d])", _chinese_part, "路易XVI", "路易十六"),
    rule(
        r"([一-鿿])(?=I[IVX]|VI|I[^A-Za-z\d])" + _ROMAN + r"(?=[》」』”’，。、；：！？\s）)]|[和与及]|$)",
        _chinese_part,
        "《教父II》",
        "《教父二》",
    ),
    rule(
        r"(?<![A-Za-z\d])()(?=I[IVX]|VI|IX|I)" + _ROMAN + r"(?=[型级期度类区](?!发动机))",
        _chinese_part,
        "II型糖尿病",
        "二型糖尿病",
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
