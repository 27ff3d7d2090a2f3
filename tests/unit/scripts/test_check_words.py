import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

WordsFound = Callable[[str, str], list[tuple[int, str]]]
SCRIPT = Path(__file__).parents[3] / "scripts/check_words.py"


@pytest.fixture(scope="module")
def checker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_words", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_words"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def words_found(checker: ModuleType) -> WordsFound:
    rules, _ = checker.load_rules('leave_out = []\n[[rule]]\nwords = "nobody|seat"\ninstead = "no client, slot"\n')
    return lambda name, text: [(each.line, each.word) for each in checker.findings(Path(name), text, rules)]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.py", "# for nobody\n", [(1, "nobody")]),
        ("a.py", '"""One.\n\nNobody waits.\n"""\n', [(3, "Nobody")]),
        ("a.py", 'raise ValueError("nobody waits")\n', [(1, "nobody")]),
        ("a.py", 'raise ValueError(f"nobody waits for {x}")\n', [(1, "nobody")]),
        ("a.py", "def free_seat(): ...\n", [(1, "seat")]),
        ("a.py", "class FreeSeat: ...\n", [(1, "Seat")]),
        ("a.py", 'key = "seat"\n', []),
        ("a.py", "seat = 1\n", []),
        ("a.py", 'text = "nobody speaks"  # words: speech\n', []),
        ("tests/test_a.py", 'text = "nobody speaks"\n', []),
        ("tests/test_a.py", "def test_nobody_waits(): ...\n", [(1, "nobody")]),
        ("a.md", "A seat.\n\n```\nnobody\n```\nThe `seat` field.\n", [(1, "seat")]),
        ("a.c", "int seat; /* one\nseat */\n// nobody\n", [(2, "seat"), (3, "nobody")]),
        ("a.yaml", "key: nobody\n", [(1, "nobody")]),
        ("Makefile", "all: ## for nobody\n", [(1, "nobody")]),
        ("a.json", '{"nobody": "seat"}\n', []),
    ],
)
def test_a_listed_word_is_found_in_prose_and_names_only(
    words_found: WordsFound, name: str, text: str, expected: list[tuple[int, str]]
) -> None:
    assert words_found(name, text) == expected


def test_the_list_finds_each_of_its_own_words(checker: ModuleType) -> None:
    rules, _ = checker.load_rules((SCRIPT.parent / "words.toml").read_text(encoding="utf-8"))
    found = list(checker.findings(Path("a.md"), "Whoever sat on a seat was told so by nobody.", rules))
    assert sorted(each.word for each in found) == ["Whoever", "nobody", "sat", "seat", "told"]


def test_a_finding_names_the_file_the_line_and_what_to_write(checker: ModuleType) -> None:
    assert str(checker.Finding(Path("a.py"), 3, "seat", "slot")) == "a.py:3: 'seat': slot"
