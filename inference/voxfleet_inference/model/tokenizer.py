"""Text to token ids, as VoxCPM was trained to see them.

Knows tokenizer.json and one rule on top of it: Chinese is read character by character. Does not know sentences,
normalisation or the model's control tokens.
"""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer as BytePairTokenizer

WORD_MARK = "\u2581"


def collapse_whitespace(text: str) -> str:
    """Runs of whitespace become one space; the tokenizer never sees others."""
    return re.sub(r"\s+", " ", text)


def is_chinese_word(text: str) -> bool:
    """Two or more characters, all of them from the basic block of Chinese ideographs."""
    return len(text) > 1 and all("\u4e00" <= character <= "\u9fff" for character in text)


class Tokenizer:
    """A byte-pair tokenizer whose Chinese words are taken apart."""

    def __init__(self, tokenizer: "BytePairTokenizer") -> None:
        self._tokenizer = tokenizer
        vocabulary = tokenizer.get_vocab(with_added_tokens=True)
        self._unknown = vocabulary.get(getattr(tokenizer.model, "unk_token", None) or "<unk>", 0)
        self._spelled = {
            word: [vocabulary.get(character, self._unknown) for character in word]
            for word in vocabulary
            if is_chinese_word(word)
        }
        self.vocabulary_size = max(vocabulary.values()) + 1

    @classmethod
    def from_file(cls, path: Path) -> "Tokenizer":
        """Read a tokenizer.json and, from the tokenizer_config.json beside it, where words get their marks.

        Raises what the tokenizers package raises. Like the reference's tokenizer class, it replaces the file's own
        normalizer: a text that begins with a space or a mark does not get another one.
        """
        from tokenizers import Tokenizer as BytePairTokenizer  # noqa: PLC0415 - loaded when a model is
        from tokenizers.pre_tokenizers import Metaspace  # noqa: PLC0415

        tokenizer = BytePairTokenizer.from_file(str(path))
        companion = path.with_name("tokenizer_config.json")
        is_legacy = companion.is_file() and json.loads(companion.read_text(encoding="utf-8")).get("legacy", False)
        scheme = "always" if is_legacy else "first"
        tokenizer.normalizer = None
        tokenizer.pre_tokenizer = Metaspace(replacement=WORD_MARK, prepend_scheme=scheme, split=False)
        return cls(tokenizer)

    def encode(self, text: str) -> list[int]:
        """Token ids without control tokens. A Chinese word loses its word mark as it is taken apart."""
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        ids: list[int] = []
        for token, token_id in zip(encoded.tokens, encoded.ids, strict=True):
            ids.extend(self._spelled.get(token.replace(WORD_MARK, ""), (token_id,)))
        return ids
