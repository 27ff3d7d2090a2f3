"""Numbers that name something, read digit by digit or in pairs: codes, accounts, rooms, flights, trains, models."""

from __future__ import annotations

import re
from typing import Final

from voxfleet_inference.text.numbers import chinese, english
from voxfleet_inference.text.rule import rule

_CODED: Final = (
    r"(?:验证码|校验码|取件码|兑换码|邀请码|邮编|邮政编码|尾号|微信号?|QQ群?号?|群号|密码|卡号|账号|帐号|车牌号?|学号|工号|房号"
    r"|房间号?|门牌号|订单号|单号|编号|代码|会议号|会议ID|(?<![A-Za-z])U?ID|证件号码?|身份证号?码?|后[四4]位(?:数字?)?|护照号码?|航班号?|序列号"
    r"|驗證碼|郵遞區號|帳號|訂單號碼?|學號|密碼|編號|身分證字號)(?:为|是|為|：|:)?\s?"
)
_CODE: Final = r"(?=[A-Za-z_@.-]{0,20}\d-?\d|[A-Z\d]{0,8}\d[A-Z]+\d)([A-Za-z0-9@._-]{3,40}(?: \d{2,6}){0,4})(?![\d.,%])"
_DIGITS: Final = re.compile(r"[ -]?\d+(?:[ -]\d+)*")
_DIGITS_ALONE: Final = re.compile(r"\d+")
_AIRCRAFT: Final = (
    r"Boeing |Airbus A?|(?<![\w-])A(?=3[1-8]0\b)|Xbox |Route |Highway |Interstate |Bus |Area |(?<![\w-])I-"
)
_STREET: Final = (
    r"(?:St|Ave|Rd|Blvd|Dr|Ln|Street|Avenue|Road|Boulevard|Drive|Lane|Way|Court|Place|Square|Terrace|Parkway)\b"
)
_DIRECTIONS: Final = {"N": "North", "S": "South", "E": "East", "W": "West"}
_STATES: Final = (
    r"(?:A[LKZR]|C[AOT]|D[CE]|FL|GA|HI|I[DLNA]|K[SY]|LA|M[EDAINSOT]|N[EVHJMYCD]"
    r"|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[TA]|W[AVIY])"
)


def _english_digits(found: re.Match[str]) -> str:
    return found[1] + english.spelled_digits(found[2])


def _english_zip(found: re.Match[str]) -> str:
    return found[1] + ", ".join(english.spelled_digits(each) for each in filter(None, found.group(2, 3)))


def _english_pairs(found: re.Match[str]) -> str:
    before = " " if found[1][-1:].isalnum() else ""
    after = " " if found.string[found.end() : found.end() + 1].isalpha() else ""  # 221B
    return found[1] + before + english.paired_words(found[2]) + after


def _english_alphanumeric(found: re.Match[str]) -> str:
    number = f"{found[1]}umber " if found[1] else ""
    return number + _DIGITS_ALONE.sub(lambda digits: f" {english.spelled_digits(digits[0])} ", found[2]).strip()


def _english_status(found: re.Match[str]) -> str:
    return found[1] + english.paired_words(found[2])


def _chinese_digits(found: re.Match[str]) -> str:
    return found[1] + chinese.telephone_digits(found[2])


def _chinese_spelled(found: re.Match[str]) -> str:
    return found[1] + chinese.spelled_digits(found[2])


def _chinese_code(found: re.Match[str]) -> str:
    code = _DIGITS.sub(lambda digits: chinese.telephone_digits(digits[0]), found[2])
    return found[1] + code.replace("@", " at ").replace("_", "下划线")


ENGLISH: Final = (
    rule(
        rf"(?<![\w.,$-])(\d{{1,3}})-(\d{{2}})(?= (?:[A-Z][a-z]+ |\d+(?:st|nd|rd|th) ){{1,3}}{_STREET})",
        lambda found: f"{english.number_words(found[1])} {english.number_words(found[2])}",
        "42-15 Crescent St.",
        "forty-two fifteen Crescent St.",
    ),
    rule(
        r"(?<=\()([A-Z]{2}) ?(\d{3,4})(?=\))",
        lambda found: f"{found[1]} {english.spelled_digits(found[2])}",
        "to Oslo (SK 4416)",
        "to Oslo (SK four four one six)",
    ),
    rule(  # a parcel's number; too long for a model's
        r"(?:\b([Nn])o\. ?)?(?<![\w.-])(?=\d{0,9}[A-Z]{1,9}\d{1,9}[A-Z]"
        r"|[A-Z]{1,9}\d{1,9}[A-Z]{1,9}\d)([A-Z\d]{8,20})(?![\w-])",
        _english_alphanumeric,
        "1Z999AA10",
        "one Z nine nine nine AA one zero",
    ),
    rule(  # a status of HTTP: something that a program answers, not a count
        r"\b((?:HTTP(?: status| error)?(?: code)?|[Ee]rror(?: code)?|[Ss]tatus(?: code)?(?: of)?) )([45]\d\d)"
        r"(?![\w%-]|[.,:]\d)",
        _english_status,
        "error 404",
        "error four oh four",
    ),
    rule(
        r"\b([Aa]n? )(4(?:0[0-9]|1\d|2\d|51)|50[0-9])"
        r"(?=[.,;:)!?]*$|[.,;:)!?](?!\d)"
        r"| (?:on|for|from|when|if|error|page(?! (?:book|novel|report|document|file))"
        r"|response|status|code|not|instead|and|or|after|because"
        r"|again|here|there|too|back|today|now)\b)",
        _english_status,
        "a 503 on start",
        "a five oh three on start",
    ),
    rule(
        r"\b([Ww]ork(?:s|ed|ing)?(?: an?)? )996(?![\w%-]|[.,]\d| (?!in|at|for|and|or|now|here)[a-z])"
        r"|(\b(?:[Tt]he|[Aa]|[Tt]his|of|to) )996"  # words: speech
        r"(?= (?:culture|schedule|system|regime|week|work|lifestyle|grind|policy|job)\b)",
        lambda found: f"{found[1] or found[2]}nine nine six",
        "I work 996",
        "I work nine nine six",
    ),
    rule(
        r"\b(\d{1,2})W[-‑](\d{2})(?![\w-])",
        lambda found: f"{english.number_words(found[1])} W {english.number_words(found[2])}",
        "5W-30 oil",
        "five W thirty oil",
    ),
    rule(
        r"(?<![\w.])(\d{2})W?\s?[x×/]\s?(\d{2})L(?![\w/])",
        lambda found: f"{english.number_words(found[1])} W by {english.number_words(found[2])} L",
        "32W x 34L",
        "thirty-two W by thirty-four L",
    ),
    rule(
        r"(?<=\d )([NSEW])\.? (?=[A-Z][a-z]+ |\d+(?:st|nd|rd|th) )",  # not watts
        lambda found: f"{_DIRECTIONS[found[1]]} ",
        "75 W. Main St.",
        "75 West Main St.",
    ),
    rule(
        r"(?<![\w])((?:PIN|ZIP|OTP|[Cc]ode|[Pp]assword|[Pp]asscode|[Aa]ccount|[Rr]oom"
        r"|[Ee]xtension|[Oo]rder|[Cc]ase|[Tt]racking|[Ss]erial|[Tt]icket|[Ii]nvoice|[Cc]onfirmation|[Rr]eference)"
        r"(?: number| code)?(?: is|:)? #?)(\d{3,10})\b(?![.,-]\d| (?!is\b|was\b|has\b)[a-z]+s\b)",
        _english_digits,
        "the code is 4829",
        "the code is four eight two nine",
    ),
    rule(
        r"\b([Ff]lights? [A-Z]{2} ?)(\d{2,4})\b",
        lambda found: f"{found[1].rstrip()} {english.spelled_digits(found[2])}",
        "flight BA249",
        "flight BA two four nine",
    ),
    rule(
        r"\b((?:end(?:ing|s)? (?:in|with)|last (?:four|4)(?: digits)?(?: are| of)?:?) )(\d{3,4})\b",
        _english_digits,
        "a card ending in 4242",
        "a card ending in four two four two",
    ),
    rule(
        rf"\b({_STATES} )(\d{{5}})(?:-(\d{{4}}))?\b(?! [a-z])",
        _english_zip,
        "Boston, MA 02108",
        "Boston, MA zero two one zero eight",
    ),
    rule(
        rf"\b((?:{_AIRCRAFT}))(\d{{3}})(?![\d,.]\d|\d|%)", _english_pairs, "a Boeing 737", "a Boeing seven thirty-seven"
    ),
    rule(
        rf"(?<![\w.,$-])()(\d{{3,4}})(?=[A-Z]? (?:[NSEW]\.? )?(?:[A-Z][a-z]+ |\d+(?:st|nd|rd|th) ){{1,3}}{_STREET})",
        _english_pairs,
        "at 1600 Amphitheatre Parkway",
        "at sixteen hundred Amphitheatre Parkway",
    ),
)
CHINESE: Final = (
    rule(
        rf"({_CODED}){_CODE}",
        _chinese_code,
        "验证码是482913",
        "验证码是四八二九幺三",
    ),
    rule(
        r"(?<![A-Za-z\d])(K)(\d{1,4})\+(\d{3})(?!\d)",  # a stake beside a road
        lambda found: f"K{chinese.spelled_digits(found[2])}加{chinese.number_words(found[3])}",
        "K1208+300处",
        "K一二零八加三百处",
    ),
    rule(
        r"(?<![\w.=+×*/-])\d{1,2}(?:-\d{1,2}){2,5}(?![\w.%-]|\s?=)",  # falls, or counts: no difference, no range
        lambda found: "、".join(chinese.number_words(each) for each in found[0].split("-")),
        "3-2-1组合",
        "三、二、一组合",
    ),
    rule(
        r"(?<![\w./])\d{1,2}/\d{1,3}/\d{1,2}(?![\w/]|\.\d)",  # no year with four digits: no date
        lambda found: "杠".join(chinese.number_words(each) for each in found[0].split("/")),
        "KDA是12/3/8",
        "KDA是十二杠三杠八",
    ),
    rule(r"\b([GDCZTKYS])(\d{1,4})(?=次|号?列车|高铁)", _chinese_digits, "G102次", "G幺零二次"),
    rule(r"(?<![A-Za-z\d])([A-Z]{2})(\d{3,4})(?=次?航班|号?班机)", _chinese_digits, "CA1831航班", "CA幺八三幺航班"),
    rule(
        r"(?<![A-Za-z\d.])()(\d{5,6})(?=\.(?:HK|SH|SZ|BJ|SS)\b)|(?<=[一-鿿A-Za-z][（(])()([036]\d{5}|0\d{4})(?=[）)])",
        lambda found: chinese.telephone_digits(found[2] or found[4]),
        "茅台（600519）",
        "茅台（六零零五幺九）",
    ),
    rule(
        r"([一-鿿][A-Z])·([A-Z0-9]{5,6})(?![\w.%-])",
        _chinese_code,
        "沪A·8F888",
        "沪A八F八八八",
    ),
    rule(r"([一-鿿][A-Z])([A-Z0-9]{0,3}\d{2,5})(?![\w.%-])(?<=[\dA-Z]{5})", _chinese_code, "京A12345", "京A幺二三四五"),
    rule(
        r"(?<![\w.,第])()(\d{3,4})(?=号?房间?(?!子|价|产|贷|屋)|号?教室|号?会议室|号?包间|室(?!内|外|温))",
        _chinese_digits,
        "305房间",
        "三零五房间",
    ),
    rule(r"(?<=[元栋幢楼座])()(\d{3,4})(?![\d.,%]|[人米元平㎡多个年户])", _chinese_digits, "2单元501", "2单元五零幺"),
    rule(
        r"(?<![\w.,第])()(\d{1,2})(?=单元|号楼|栋|幢|號樓)",
        lambda found: chinese.number_words(found[2]),
        "2单元",
        "二单元",
    ),
    rule(r"(?<![\w.,])()(\d{3})(?=路(?:公交|公共|汽车|车|电车|巴士))", _chinese_spelled, "302路公交", "三零二路公交"),
    rule(r"(?<![\d.,:/%'’′-])()(0\d{1,20})(?![\d.,:/%-]|[年月日号点时分秒后])", _chinese_spelled, "A007", "A零零七"),
    rule(r"(?<![\w.,])()([4-9]\d)(?=版(?!本|权|面|块|图|税|次))", _chinese_spelled, "86版", "八六版"),
    rule(
        r"(?<=[了改写删加有])(1[12]\d)(?=[行个人元名天次页条块米斤分秒克件辆种家岁篇字张])",
        lambda found: chinese.number_words(found[1]),
        "改了120行",
        "改了一百二十行",
    ),
    rule(
        r"(?<=[是为達达到约共近过超约 A-Za-z度分重高长宽值])(1[12]\d|10086|10010|12306|12345)(?![\d.,:/%-])",
        lambda found: chinese.number_words(found[1]),  # wetext reads an emergency call's number
        "心率是120",
        "心率是一百二十",
    ),
    rule(r"(?<![\w.,])(\d{1,3})#(?!\w)", lambda found: f"{found[1]}号", "92#汽油", "92号汽油"),
)
