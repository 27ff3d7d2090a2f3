"""The tokenizer: characters as tokens, in the file format of the published one.

Knows: the vocabulary, and which characters are read like another: the reference discards a tokenizer.json's own
normalizer, so capitals cannot be folded there, and share the rows of small letters instead.
Does not know: embeddings.
"""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

WORD_MARK: Final = "▁"
_UNKNOWN: Final = "<unk>"
_SPECIAL: Final = (_UNKNOWN, "<s>", "</s>")
_FIRST_AUDIO_TOKEN: Final = 101
_AUDIO_TOKENS: Final = ("<|audio_start|>", "<|audio_end|>", "<|audio_prompt_start|>", "<|audio_prompt_end|>")
TRAINED: Final = string.ascii_lowercase + ".,!?'\"():;"
_ACCENTED: Final = {
    "àáâãäå": "a",
    "ç": "c",
    "èéêë": "e",
    "ìíîï": "i",
    "ñ": "n",
    "òóôõöø": "o",
    "ùúûü": "u",
    "ýÿ": "y",
}
ALIASES: Final[Mapping[str, str]] = (  # a character, and the trained one whose row it shares
    {capital: capital.lower() for capital in string.ascii_uppercase}
    | {accented: plain for group, plain in _ACCENTED.items() for accented in group}
    | {"’": "'", "‘": "'", "`": "'", "“": '"', "”": '"', "«": '"', "»": '"', "[": "(", "]": ")"}
    | {"-": WORD_MARK, "/": WORD_MARK, "_": WORD_MARK, "–": ",", "—": ",", "…": "."}
    | {"。": ".", "，": ",", "？": "?", "！": "!", "：": ":", "；": ";"}
)


def vocabulary() -> dict[str, int]:
    """Return token ids: special tokens, padding up to the published audio tokens, bytes, characters."""
    padding = [f"<pad_{index}>" for index in range(len(_SPECIAL), _FIRST_AUDIO_TOKEN)]
    tokens = [*_SPECIAL, *padding, *_AUDIO_TOKENS, *(f"<0x{byte:02X}>" for byte in range(256)), WORD_MARK]
    tokens += [*TRAINED, *string.digits, *ALIASES]
    return {token: index for index, token in enumerate(dict.fromkeys(tokens))}


def token_ids(written: str, ids: Mapping[str, int]) -> list[int]:
    """Return what the published tokenizer code makes of a text in trained characters."""
    return [ids[WORD_MARK], *(ids[WORD_MARK if character == " " else character] for character in written)]


def write_tokenizer(folder: Path) -> None:
    """Write tokenizer.json and the two files beside it."""
    tokenizer = Tokenizer(
        models.BPE(vocab=vocabulary(), merges=[], unk_token=_UNKNOWN, fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(WORD_MARK), normalizers.Replace(" ", WORD_MARK)])
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace(WORD_MARK, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in _SPECIAL])
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    settings = {"tokenizer_class": "LlamaTokenizer", **special, "add_bos_token": True, "add_eos_token": False}
    _write_json(folder / "tokenizer_config.json", {**settings, "legacy": True})
    _write_json(folder / "special_tokens_map.json", special)


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
