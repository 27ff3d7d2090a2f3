"""Roman numerals of rulers, parts, sequels and chords.

Letters are a numeral after a word that takes one (a ruler, a part, a capitalized name) unless the word after it says
otherwise. In doubt they stay letters: a chapter "I V" is understood, an editor called "six" is not.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from voxfleet_inference.text.numbers import chinese, english
from voxfleet_inference.text.rule import rule

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
_SHORT: Final = {
    "p.": "page",
    "pp.": "pages",
    "ch.": "chapter",
    "chap.": "chapter",
    "vol.": "volume",
    "sec.": "section",
    "art.": "article",
    "pt.": "part",
    "bk.": "book",
}
_I_SPEAKS: Final = (  # George I met
    r"(?!(?<= I) (?:am|have|had|know|knew|think"
    r"|thought|met|saw|see|went|will|would|can|could|love|like|want|need"  # words: speech
    r"|remember|mean|guess|believe|feel|felt|do|did|got|made|said|told|found|just|never|always|also|really|(?!ruled|died|reigned|married|ordered|abdicated|ascended|signed|founded|granted|succeeded|issued|acceded)[a-z]{2,12}ed)\b)"
)
_NO_NAME: Final = (  # the first word of a sentence is capitalized too
    r"(?!(?:The|An?|This|That|My|Your|His|Her|Our|Their|In|On|At|To|For|From|With|By|And|Or|If|Is|Are|Use|Using|Open|Try"
    r"|Run|Give|Start|Some|No|Each|Both|Like|When|Insert|What|Why|How|Does|Which|Type) )"
)
_NO_NUMERAL: Final = (  # an IV drip, the VI editor
    r"(?! (?:fluids?|drips?|lines?|bags?|therapy|infusions?|antibiotics|access|catheters?|push|poles?|editors?|mode"
    r"|commands?|keys?|bindings|files?)\b)"
)
_CHORDS: Final = {"I": 1, "II": 2, "III": 3, "IV": 4, "V": 5, "VI": 6, "VII": 7}
_CHORD: Final = r"(?:VII?|IV|I{1,3}|V|vii?|iv|i{1,3}|v)"


def _roman(letters: str) -> int:
    values = [_ROMAN_VALUES[each] for each in letters]
    return sum(-value if value < max(values[index:]) else value for index, value in enumerate(values))


def _part(found: re.Match[str]) -> str:
    return f"{found[1]} {english.number_words(str(_roman(found[2])))}" if found[2] else found[0]


def _part_of_name(found: re.Match[str]) -> str:
    return found[1] + english.number_words(str(_roman(found[2])))


def _small_part(found: re.Match[str]) -> str:
    letters = found[2].upper()
    is_roman = re.fullmatch(_ROMAN, letters) is not None
    name = _SHORT.get(found[1].lower(), found[1])
    return f"{name} {english.number_words(str(_roman(letters)))}" if is_roman else found[0]


def _chords(found: re.Match[str]) -> str:
    return " ".join(english.number_words(str(_CHORDS[each.upper()])) for each in re.split("[-–]", found[0]))


def _chinese_part(found: re.Match[str]) -> str:
    return f"{found[1]}{chinese.number_words(str(_roman(found[2])))}" if found[2] else found[0]


def _chinese_ruler(found: re.Match[str]) -> str:
    has_no_suffix = not found[2] or found[1] == "路易" or found.string.startswith("世", found.end())
    return _chinese_part(found) + ("" if has_no_suffix else "世")


def _ruler(found: re.Match[str]) -> str:
    return f"{found[1]} the {english.ordinal_words(_roman(found[2]))}" if found[2] else found[0]


def _small_ruler(found: re.Match[str]) -> str:
    letters = found[2].upper()
    return f"{found[1]} the {english.ordinal_words(_roman(letters))}" if re.fullmatch(_ROMAN, letters) else found[0]


def _chinese_roman_sign(found: re.Match[str]) -> str:
    return chinese.number_words(str(_roman(unicodedata.normalize("NFKC", found[0]).upper())))


ENGLISH: Final = (
    rule(f"[{_ROMAN_SIGNS}]", lambda found: unicodedata.normalize("NFKC", found[0]), "Chapter Ⅳ", "Chapter IV"),
    rule(rf"(?<![\w-]){_CHORD}(?:[-–]{_CHORD}){{2,7}}(?![\w-])", _chords, "a I–IV–V in G", "a one four five in G"),
    rule(
        rf"\b({_RULERS}|{_RULERS.lower()}) {_ROMAN}\b{_I_SPEAKS}(?!['’](?:m|ve|ll|d)\b)",
        _ruler,
        "Henry VIII, henry IV",
        "Henry the eighth, henry the fourth",
    ),
    rule(
        rf"\b({_RULERS}|{_RULERS.lower()}) (?=[ivx]{{2}})([ivx]{{2,6}})\b",
        _small_ruler,
        "king henry viii",
        "king henry the eighth",
    ),
    rule(
        r"\b((?:King|Queen|Pope|Emperor|Empress|Tsar|Czar|Sultan|Prince|Duke|Pharaoh|Shah|Kaiser) [A-Z][a-z]+)"
        rf" (?=[IVX]){_ROMAN}\b{_I_SPEAKS}(?!['’](?:m|ve|ll|d)\b)",
        _ruler,
        "Pope Urban II",
        "Pope Urban the second",
    ),
    rule(rf"\b({_PARTS}) {_ROMAN}\b(?![.'’]\w)", _part, "World War II", "World War two"),
    rule(
        r"(?<!\w)([Cc]h(?:ap)?\.|[Vv]ol\.|[Ss]ec\.|[Aa]rt\.|[Pp]t\.|[Bb]k\.) ([IVX]{1,6})\b(?!['’.]\w)",
        _small_part,
        "Ch. IV",
        "chapter four",
    ),
    rule(
        rf"\b({_PARTS.lower()}|pages?|pp?\.|{_PARTS}) "
        r"(?=[ivx]{2}|[IVX]{2}|[ivIVX](?:[,.;:)]|$))([ivx]{1,6}|[IVX]{1,6})\b(?!['’.]\w)",
        _small_part,
        "stage III, scene ii",
        "stage three, scene two",
    ),
    rule(
        rf"(\b{_NO_NAME}[A-Z][a-z]+ )(?=I[IVX]|VI|X[IV]){_ROMAN}\b(?!['’.]\w){_NO_NUMERAL}",
        _part_of_name,
        "Rocky IV, The VI editor",
        "Rocky four, The VI editor",
    ),
)
CHINESE: Final = (
    rule(f"[{_ROMAN_SIGNS}]", _chinese_roman_sign, "第Ⅳ章", "第四章"),
    rule(rf"(第\s?){_ROMAN}(?=\s?[一-鿿])", _chinese_part, "第III期", "第三期"),
    rule(rf"({_CHINESE_RULERS}){_ROMAN}(?![A-Za-z\d])", _chinese_ruler, "查理II和路易XVI", "查理二世和路易十六"),
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
)
