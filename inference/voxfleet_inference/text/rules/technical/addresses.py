"""Addresses and names of files: domains, paths, colours, UUIDs, hashes. wetext reads URLs and e-mail addresses."""

from __future__ import annotations

import re
from typing import Final

from voxfleet_inference.text.numbers import chinese, english
from voxfleet_inference.text.rule import rule

_ENDINGS: Final = (
    r"(?:py|js|jsx|ts|tsx|json|jsonl|ya?ml|toml|ini|cfg|conf|env|txt|md|pdf|png|jpe?g|gif|svg|webp|mp3|mp4|wav|flac|ogg|zip"
    r"|tar|gz|csv|tsv|docx?|xlsx?|pptx?|html?|css|cpp|hpp|rs|go|java|kt|rb|php|sh|sql|log|exe|dmg|apk|iso|ipynb|lock)"
)
_FILE: Final = rf"(?<![\w.@/\\-])[A-Za-z0-9_][\w-]{{0,60}}(?:\.[a-z0-9]{{1,10}}){{0,2}}\.{_ENDINGS}(?![\w/]|\.\w)"
_DOMAIN: Final = (
    r"(?<![\w.@/:-])(?:[a-zA-Z0-9][a-zA-Z0-9-]{0,40}\.){1,4}"
    r"(?:com|org|net|io|dev|edu|gov|cn|uk|de|fr|jp|ai|app|info|me|tv|hk|tw)(?:/[\w.~%-]{1,60}){0,6}/?(?![\w@])"
)
_HEX_COLOUR: Final = r"#(?=[0-9A-Fa-f]{0,5}[A-Fa-f])([0-9A-Fa-f]{6}|[0-9A-Fa-f]{3})\b"
_UUID: Final = r"(?<![\w-])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![\w-])"
_HARDWARE: Final = r"(?<![\w:])[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}(?![\w:])"
_HASH: Final = r"(?<![\w.-])(?=[a-f]{0,39}\d)(?=\d{0,39}[a-f])(?=[0-9]*[a-f]+[0-9]+[a-f])[0-9a-f]{7,40}(?![\w.-])"
_PATH: Final = r"(?<![\w./~:])(~?)((?:/[A-Za-z_.][\w.+-]{0,60}){2,12})/?(?![\w/])"
_URL: Final = r"(?<!\w)(https?|ftp|wss?)://([\w.~%:/?#&=+@-]{1,300}[\w/])"
_ENGLISH_SIGNS: Final = {
    ".": "dot",
    "/": "slash",
    "?": "question mark",
    "=": "equals",
    "&": "and",
    "#": "hash",
    "-": "dash",
    "_": "underscore",
    ":": "colon",
    "%": "percent",
    "+": "plus",
    "~": "tilde",
    "@": "at",
}
_CHINESE_SIGNS: Final = {
    ".": "点",
    "/": "斜杠",
    "?": "问号",
    "=": "等于",
    "&": "和",
    "#": "井号",
    "-": "杠",
    "_": "下划线",
    ":": "冒号",
    "%": "百分号",
    "+": "加",
    "~": "波浪号",
    "@": "at",
}
_URL_SIGN: Final = re.compile(r"[./?=&#:%+~@_-]")
_GROUP_EDGES: Final = re.compile(r"[-:]")
_LONG_NUMBER: Final = re.compile(r"\d{3,}")
_PARTS: Final = re.compile(r"[./]")
_VERSION_IN_PATH: Final = re.compile(r"(?<= slash )v(\d{1,3})(?= |$)")
_CLONED: Final = (
    r"(?<![\w.@/-])(\w[\w.-]{0,30})@(\w[\w-]{0,40}(?:\.[\w-]{1,40}){0,4}):(?!\d{1,5}\b)([\w/~][\w./~-]{0,80}\w)"
)


def _english_name(found: re.Match[str]) -> str:
    ending = "." if found[0].endswith(".") else ""
    return _with_signs(found[0].rstrip("./"), " dot ", " slash ") + ending


def _chinese_name(found: re.Match[str]) -> str:
    name = _with_signs(found[0].rstrip("./"), "点", "斜杠")
    return _LONG_NUMBER.sub(lambda digits: chinese.spelled_digits(digits[0]), name)


def _with_signs(name: str, dot: str, slash: str) -> str:
    return _PARTS.sub(lambda sign: dot if sign[0] == "." else slash, name).replace("_", " ")


def _english_url(found: re.Match[str]) -> str:
    address = _URL_SIGN.sub(lambda sign: f" {_ENGLISH_SIGNS[sign[0]]} ", found[2].rstrip("/").replace("www.", "WWW."))
    return f"{found[1].upper()} colon slash slash {address}"


def _chinese_url(found: re.Match[str]) -> str:
    address = _URL_SIGN.sub(lambda sign: _CHINESE_SIGNS[sign[0]], found[2].rstrip("/"))
    return f"{found[1]}冒号斜杠斜杠" + _LONG_NUMBER.sub(lambda digits: chinese.spelled_digits(digits[0]), address)


def _english_letters(letters: str) -> str:
    return " ".join(english.spelled_digits(each) if each.isdigit() else each.upper() for each in letters)


def _chinese_letters(letters: str) -> str:
    spelled = "".join(chinese.spelled_digits(each) if each.isdigit() else f" {each.upper()} " for each in letters)
    return " ".join(spelled.split())


def _english_groups(found: re.Match[str]) -> str:
    return ", ".join(_english_letters(each) for each in _GROUP_EDGES.split(found[0]))


def _chinese_groups(found: re.Match[str]) -> str:
    return "，".join(_chinese_letters(each) for each in _GROUP_EDGES.split(found[0]))


def _english_path(path: str) -> str:
    spoken = _with_signs(path.rstrip("."), " dot ", " slash ")
    return _VERSION_IN_PATH.sub(lambda version: "v " + english.number_words(version[1]), spoken)


def _english_clone(found: re.Match[str]) -> str:
    user, host, path = (each.replace(".", " dot ") for each in found.groups())
    return f"{user} at {host} colon {path.replace('/', ' slash ')}"


def _chinese_clone(found: re.Match[str]) -> str:
    user, host, path = (each.replace(".", "点") for each in found.groups())
    return f"{user} at {host}冒号{path.replace('/', '斜杠')}"


ENGLISH: Final = (
    rule(
        r"\blocalhost:(\d{2,5})((?:/[\w-]{1,60}){0,6})",
        lambda found: f"localhost port {english.spelled_digits(found[1])}{_with_signs(found[2], ' dot ', ' slash ')}",
        "at localhost:8080/docs",
        "at localhost port eight zero eight zero slash docs",
    ),
    rule(
        _URL,
        _english_url,
        "see http://a.example/b?c=1",
        "see HTTP colon slash slash a dot example slash b question mark c equals 1",
    ),
    rule(
        _CLONED,
        _english_clone,
        "clone git@host.example:a/b.git",
        "clone git at host dot example colon a slash b dot git",
    ),
    rule(
        _UUID,
        _english_groups,
        "0a1b2c3d-1111-2222-3333-444455556666",
        (
            "zero A one B two C three D, one one one one, two two two two, three three three three, "
            "four four four four five five five five six six six six"
        ),
    ),
    rule(_HARDWARE, _english_groups, "00:1A:2B:3C:4D:5E", "zero zero, one A, two B, three C, four D, five E"),
    rule(_HEX_COLOUR, lambda found: f"hash {_english_letters(found[1])}", "#1E90FF", "hash one E nine zero F F"),
    rule(_HASH, lambda found: _english_letters(found[0]), "commit 3fa9c1d", "commit three F A nine C one D"),
    rule(_FILE, _english_name, "open notes.txt", "open notes dot txt"),
    rule(_DOMAIN, _english_name, "example.org/help", "example dot org slash help"),
    rule(
        _PATH,
        lambda found: f"{'tilde' if found[1] else ''}{_english_path(found[2])}",
        "see /etc/hosts",
        "see  slash etc slash hosts",
    ),
)
CHINESE: Final = (
    rule(_URL, _chinese_url, "见http://a.example/b", "见http冒号斜杠斜杠a点example斜杠b"),
    rule(_CLONED, _chinese_clone, "克隆git@host.example:a/b", "克隆git at host点example冒号a斜杠b"),
    rule(
        _UUID,
        _chinese_groups,
        "0a1b2c3d-1111-2222-3333-444455556666",
        ("零 A 一 B 二 C 三 D，一一一一，二二二二，三三三三，四四四四五五五五六六六六"),
    ),
    rule(_HARDWARE, _chinese_groups, "00:1A:2B:3C:4D:5E", "零零，一 A，二 B，三 C，四 D，五 E"),
    rule(_HEX_COLOUR, lambda found: f"井号{_chinese_letters(found[1])}", "颜色#1E90FF", "颜色井号一 E 九零 F F"),
    rule(_HASH, lambda found: _chinese_letters(found[0]), "提交3fa9c1d", "提交三 F A 九 C 一 D"),
    rule(_FILE, _chinese_name, "打开notes.txt", "打开notes点txt"),
    rule(_DOMAIN, _chinese_name, "访问example.org/help", "访问example点org斜杠help"),
    rule(
        _PATH,
        lambda found: f"{'波浪号' if found[1] else ''}{_with_signs(found[2], '点', '斜杠')}",
        "编辑/etc/hosts",
        "编辑斜杠etc斜杠hosts",
    ),
)
