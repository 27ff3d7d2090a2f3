"""Text to token ids, as in VoxCPM's training.

Knows: tokenizer.json, and one rule on top of it: multi-character Chinese tokens are split into characters. Does not
know: sentences, text normalization or the model's control tokens.
"""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer as BytePairTokenizer

WORD_MARK = "\u2581"  # SentencePiece's replacement of a space


def collapse_whitespace(text: str) -> str:
    """Replace every run of whitespace by one space, as the reference does before tokenizing."""
    return re.sub(r"\s+", " ", text)


def is_chinese_word(text: str) -> bool:
    """Return whether a token is two or more characters of the block CJK Unified Ideographs."""
    return len(text) > 1 and all("\u4e00" <= character <= "\u9fff" for character in text)


class Tokenizer:
    """A byte-pair tokenizer whose Chinese words are split into characters."""

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
        """Read a tokenizer.json, and from the tokenizer_config.json beside it which words get a word mark.

        Raises what the tokenizers package raises. As in the reference's tokenizer class, the file's own normalizer is
        replaced: a text that begins with a space or a mark does not get another mark.
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
        """Return token ids without control tokens. A Chinese word loses its word mark when it is split."""
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        ids: list[int] = []
        for token, token_id in zip(encoded.tokens, encoded.ids, strict=True):
            ids.extend(self._spelled.get(token.replace(WORD_MARK, ""), (token_id,)))
        return ids
