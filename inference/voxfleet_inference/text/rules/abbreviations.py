"""Abbreviations and signs that are read as words."""

from __future__ import annotations

import re
from typing import Final

from voxfleet_inference.text.numbers import english
from voxfleet_inference.text.rule import rule

_WORDS: Final = {
    "Mr.": "mister",
    "Mrs.": "missus",
    "Ms.": "miz",
    "Dr.": "doctor",
    "Prof.": "professor",
    "Rev.": "reverend",
    "Gen.": "general",
    "Col.": "colonel",
    "Capt.": "captain",
    "Lt.": "lieutenant",
    "Sgt.": "sergeant",
    "Gov.": "governor",
    "Sen.": "senator",
    "Rep.": "representative",
    "Hon.": "honorable",
    "Pres.": "president",
    "Mt.": "mount",
    "Ft.": "fort",
    "Jr.": "junior",
    "Sr.": "senior",
    "Ave.": "avenue",
    "Rte.": "route",
    "Pkwy.": "parkway",
    "Bldg.": "building",
    "bldg.": "building",
    "Blvd.": "boulevard",
    "Rd.": "road",
    "Hwy.": "highway",
    "Inc.": "incorporated",
    "Ltd.": "limited",
    "Corp.": "corporation",
    "Co.": "company",
    "Dept.": "department",
    "Assn.": "association",
    "Univ.": "university",
    "vs.": "versus",
    "vs": "versus",
    "etc.": "et cetera",
    "e.g.": "for example",
    "i.e.": "that is",
    "approx.": "approximately",
    "est.": "established",
    "Est.": "established",
    "Cf.": "compare",
    "E.g.": "for example",
    "I.e.": "that is",
    "min.": "minimum",
    "max.": "maximum",
    "incl.": "including",
    "excl.": "excluding",
    "cf.": "compare",
    "et al.": "and others",
    "ca.": "circa",
    "w/o": "without",
    "w/": "with",
    "a.k.a.": "also known as",
    "aka": "also known as",
    "tel.": "telephone",
    "Tel.": "telephone",
    "temp.": "temperature",
    "avg.": "average",
    "dept.": "department",
    "Qty.": "quantity",
    "qty.": "quantity",
    "wt.": "weight",
    "Wt.": "weight",
    "lg.": "large",
    "sm.": "small",
    "pkg.": "package",
    "pkgs.": "packages",
    "hosp.": "hospital",
    "Hosp.": "hospital",
    "ref.": "reference",
    "govt.": "government",
    "misc.": "miscellaneous",
    "P.S.": "P S",
    "btwn.": "between",
    "btwn": "between",
    "b/c": "because",
    "Rm.": "room",
    "Ps.": "psalm",
    "ASAP": "as soon as possible",
}
_DAYS: Final = {
    "Mon.": "Monday",
    "Tue.": "Tuesday",
    "Tues.": "Tuesday",
    "Wed.": "Wednesday",
    "Thu.": "Thursday",
    "Thur.": "Thursday",
    "Thurs.": "Thursday",
    "Fri.": "Friday",
    "Sat.": "Saturday",
}
_ANY_CASE: Final = (
    "Mr.",
    "Mrs.",
    "Ms.",
    "Dr.",
    "Prof.",
    "Mt.",
    "Jr.",
    "Sr.",
    "Ave.",
    "Blvd.",
    "Rd.",
    "Inc.",
    "Ltd.",
    "Corp.",
)
_SPOKEN: Final = (
    {each.lower(): _WORDS[each] for each in _ANY_CASE}
    | {each.upper(): _WORDS[each] for each in _ANY_CASE}
    | {each.capitalize(): word for each, word in _WORDS.items() if each.islower() and len(each) > 3}  # noqa: PLR2004
    | _WORDS
    | _DAYS
)
_ABBREVIATION: Final = "|".join(re.escape(each) for each in sorted(_SPOKEN, key=len, reverse=True))
_TEAMS: Final = {"49": "Forty-Niners", "76": "Seventy-Sixers"}
_STREETS: Final = {
    "Dr": "Drive",
    "Ln": "Lane",
    "Ct": "Court",
    "Pl": "Place",
    "Sq": "Square",
    "Ter": "Terrace",
    "Pkwy": "Parkway",
    "Cres": "Crescent",
}
_CIRCLED: Final = "①②③④⑤⑥⑦⑧⑨⑩"
_CHINESE_DIGITS: Final = "一二三四五六七八九十"
_ENGLISH_DIGITS: Final = "one two three four five six seven eight nine ten".split()  # noqa: SIM905


_TITLES: Final = frozenset({"Mr.", "Mrs.", "Ms.", "Dr.", "Prof."})  # a name follows, which may be Chinese


def _word(found: re.Match[str]) -> str:
    is_last = (
        not found.string[found.end() :].strip() and found[0].endswith(".") and found[0].capitalize() not in _TITLES
    )
    return _SPOKEN[found[0]] + ("." if is_last else "")


def _dotted_letters(found: re.Match[str]) -> str:
    is_last = not found.string[found.end() :].strip()
    return " ".join(found[0].replace(".", "")) + ("." if is_last else "")


ENGLISH: Final = (
    rule(r"\bf/(?=\d)", lambda _: "f ", "at f/1.8", "at f 1.8"),
    rule(r"(?<=\b\dst |\b\dnd |\b\drd |\b\dth )Fl\.", lambda _: "Floor", "3rd Fl.", "3rd Floor"),
    rule(r"(?<=first |econd |third |ourth |fifth |sixth )Fl\.", lambda _: "Floor", "third Fl.", "third Floor"),
    rule(r"\b(49|76)ers\b", lambda found: f"{_TEAMS[found[1]]}", "the 49ers", "the Forty-Niners"),
    # wetext reads the next four as Television, Sunday and, twice, number.
    rule(
        r"\bSat(?= ?navs?\b| (?:down|there|in|on|at|by|next|beside|with|back|up|for)\b)",  # words: speech
        lambda _: "sat",  # words: speech
        "Sat nav",  # words: speech
        "sat nav",  # words: speech
    ),
    rule(r"\bTV(?=s?\b)", lambda _: "T V", "a TV", "a T V"),
    rule(
        r"(?<=\b[Tt]he )Sun\b(?! (?:edition|schedule))|\bSun(?= (?:is|was|rises|sets)\b|['’]s\b)",  # words: speech
        lambda _: "sun",
        "the Sun is hot",
        "the sun is hot",
    ),
    rule(r"\bNo\.(?!\s?\d)", lambda _: "no.", "No. I won't.", "no. I won't."),
    rule(
        r"\bno (\d{1,6})(?![\d.,:%])",
        lambda found: f"no {english.number_words(found[1])}",
        "say no 3 times",
        "say no three times",
    ),
    rule(
        r"(?<=[a-z] )(Dr|Ln|Ct|Pl|Sq|Ter|Pkwy|Cres)\.(?=,|\W{0,3}$|\)| [a-z]| [A-Z]{2}\b)",
        lambda found: _STREETS[found[1]],
        "Elm Dr. in May",
        "Elm Drive in May",
    ),
    rule(r"\bSt\. (?=[A-Z])", lambda _: "Saint ", "St. Louis", "Saint Louis"),
    rule(r"(?<=[a-z] )St\.", lambda _: "Street", "Main St.", "Main Street"),
    rule(
        rf"(?<![\w.])(?:{_ABBREVIATION})(?![\w.])", _word, "Dr. Smith vs. Mr. Jones", "doctor Smith versus mister Jones"
    ),
    rule(r"\bPh\.?D\.?(?=\W|$)", lambda _: "P H D", "a Ph.D. student", "a P H D student"),
    rule(r"\b(?:[A-Z]\.){2,}(?!\w)", _dotted_letters, "the U.S. economy", "the U S economy"),
    rule(r"(?<=\w)\s*&\s*(?=\w)", lambda _: " and ", "R & D", "R and D"),
    rule(r"\band/or\b", lambda _: "and or", "and/or", "and or"),
    rule(r"(?<=\d)\s?\+(?=[\s,;:!?)”\"]|\.(?!\d)|$)", lambda _: " plus", "100+", "100 plus"),
    rule(r"(?<=[\w)]) \+ (?=[\w($€£])", lambda _: " plus ", "rent + tax", "rent plus tax"),
    rule(r"(?<![\w./~])~\s?(?=[\da-z])|≈\s?(?=\d)", lambda _: "about ", "~50", "about 50"),
    rule(r"±\s?(?=\d)", lambda _: " plus or minus ", "±3", " plus or minus 3"),
    rule(rf"[{_CIRCLED}]", lambda found: f"{_ENGLISH_DIGITS[_CIRCLED.index(found[0])]}, ", "①", "one, "),
    rule(r"\s?(?:→|->|=>)\s?", lambda _: " to ", "A → B", "A to B"),
    rule(r"(?<=\w)[™®©]", lambda _: "", "Acme™", "Acme"),
)
CHINESE: Final = (
    rule(r"(?<![\w)）.%])\+(\d{1,4})/-(?=\d)", lambda found: f"加{found[1]}、减", "+80/-40", "加80、减40"),
    rule(r"(?<![\w)）.%])\+1(?![\d.,:%])", lambda _: "加一", "，+1", "，加一"),
    rule(rf"[{_CIRCLED}]", lambda found: f"{_CHINESE_DIGITS[_CIRCLED.index(found[0])]}，", "①", "一，"),
    rule(r"(?<=[^\x00-\x7f])\s?[Vv][Ss]\.?\s?(?=[^\x00-\x7f])", lambda _: "对", "红队vs蓝队", "红队对蓝队"),
    rule(r"(?<=[^\x00-\x7f])\s?&\s?(?=[^\x00-\x7f])", lambda _: "和", "红&蓝", "红和蓝"),
    rule(r"(?<=[A-Z])\s?&\s?(?=[A-Z][^A-Za-z])", lambda _: "和", "A&B两家", "A和B两家"),
    rule(r"±\s?(?=\d)", lambda _: "正负", "±3", "正负3"),
    rule(r"(?:>=|≥)\s?(?=\d)", lambda _: "大于等于", "≥3", "大于等于3"),
    rule(r"(?:<=|≤)\s?(?=\d)", lambda _: "小于等于", "≤3", "小于等于3"),
    rule(r">\s?(?=\d)", lambda _: "大于", ">3", "大于3"),
    rule(r"(?:≈|~|～)\s?(?=\d)", lambda _: "约", "≈3", "约3"),
    rule(r"\s?(?:→|->|=>)\s?", lambda _: "到", "甲→乙", "甲到乙"),
    rule(r"(?<=\d)\+(?=[^\x00-\x7f\d]|$)", lambda _: "多", "100+人", "100多人"),
    rule(r"(?<=\w)[™®©]", lambda _: "", "Acme™", "Acme"),
)
