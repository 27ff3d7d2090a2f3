"""Results of games and votes."""

from __future__ import annotations

import re
from typing import Final

from voxfleet_inference.text.numbers import chinese, english
from voxfleet_inference.text.rule import rule

_PLAYED: Final = (
    r"\b(?:won|wins?|winning|lost|loses?|losing|beat|beats|beaten|defeated|lead|leads|led|leading|scores?|scored|drew"
    r"|draw|tied|ahead|trail|trails|trailed|trailing|final|vote|voted|ruled)\b"
)
_AHEAD: Final = "(?:以|比分|大比分|总比分|结果|战成|踢成|打成|扳成|改写为|定格在)(?:为|是|：|:)?\\s?"
_NEAR: Final = 40  # characters
_GAME: Final = re.compile(
    "[胜负平败输赢]|比分|逆转|领先|落后|不敌|半场|全场|决赛|小组赛|[男女][排足篮乒单双]|主场|客场|战平|扳平|晋级|夺冠|球队|联赛|杯"
)
_LISTED_PAIRS: Final = re.compile(r"\d{1,3}[-–]\d{1,3}、\d{1,3}[-–]\d{1,3}")
_OUTCOME: Final = "战胜|击败|大胜|险胜|完胜|力克|横扫|逆转|领先|落后|不敌|负于|获胜|取胜|告负|战平|击溃|淘汰"


def _english_score(found: re.Match[str]) -> str:
    last = "nil" if int(found[3]) == 0 else english.number_words(found[3])
    return f"{found[1]}{english.number_words(found[2])} {'' if last == 'nil' else 'to '}{last}"


def _chinese_score(found: re.Match[str]) -> str:
    first, last = (chinese.number_words(each) for each in found.group("first", "last"))
    return f"{found.groupdict().get('before') or ''}{first}比{last}"


def _chinese_listed_score(found: re.Match[str]) -> str:
    """Return a pair of numbers as a score if words near it are of a game, or pairs are listed."""
    around = found.string[max(0, found.start() - _NEAR) : found.end() + _NEAR]
    return _chinese_score(found) if _GAME.search(around) or _LISTED_PAIRS.search(around) else found[0]


ENGLISH: Final = (
    rule(
        rf"({_PLAYED}[^.;\d]{{0,30}}?)(?<![\w.$])(\d{{1,3}})(?:[-–:]| [-–] )(\d{{1,3}})(?![\w%-]|[.,:]\d)",
        _english_score,
        "won 3-2",
        "won three to two",
    ),
    rule(
        r"()\b(\d{1,3})[-–](\d{1,3})(?= (?:win|loss|victory|defeat|draw|lead|tie|vote|score)\b)",
        _english_score,
        "a 3-0 win",
        "a three nil win",
    ),
)
CHINESE: Final = (
    rule(
        rf"(?P<before>{_AHEAD})(?P<first>\d{{1,3}})\s?[-–—:：比]\s?(?P<last>\d{{1,3}})(?![\d.%元:])",
        _chinese_score,
        "比分是21:19",
        "比分是二十一比十九",
    ),
    rule(
        rf"(?<![\w.:-])(?P<first>\d{{1,3}})\s?[-–—:：]\s?(?P<last>\d{{1,3}})(?={_OUTCOME})",
        _chinese_score,
        "3-2战胜",
        "三比二战胜",
    ),
    rule(
        r"(?<![\w.:/–~-])(?P<first>\d{1,3})[-–](?P<last>\d{1,3})(?=[，。、；！？,;…（）()\s]|$)",
        _chinese_listed_score,
        "女排11-9、8-11",
        "女排十一比九、八比十一",
    ),
    rule(
        r"(?<![\w.:/-])(?P<first>\d{1,4}):(?P<last>\d{1,4})(?=的?比例|的?屏幕|的?画面|稀释|兑)",
        _chinese_score,
        "16:9的屏幕",
        "十六比九的屏幕",
    ),
)
