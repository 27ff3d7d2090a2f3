"""A small tokenizer in the published format for the tiny checkpoint, built from rules without data.

Its pieces: control tokens at their published ids, all bytes (so that every text tokenizes), ASCII, the 3,755 most
common Chinese characters, and a few English and Chinese words to merge.
"""

import json
import string
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, normalizers
from tokenizers.models import BPE

from voxfleet_inference.model.tokenizer import WORD_MARK

CONTROL_TOKENS = ("<unk>", "<s>", "</s>")
AUDIO_TOKENS = ("<|audio_start|>", "<|audio_end|>", "<|audio_prompt_start|>", "<|audio_prompt_end|>")
FIRST_AUDIO_TOKEN = 101
PUNCTUATION = "\uff0c\u3002\uff01\uff1f\uff1b\uff1a\u3001\u201c\u201d\u2018\u2019\u300a\u300b\uff08\uff09\u2026\u2014"
ENGLISH_WORDS = (  # noqa: SIM905 - a list would be a page long
    "the of and to in is that for it was on are as with his they at be this from have or by one had"  # words: speech
    " not but what all were when we there can an your which their said if do will each about how up"
    " out them then she many some so these would other into has more her two like him see time could"  # words: speech
    " no make than first been its who now people my made over did down only way find use may water"  # words: speech
    " long little very after words called just where most know get through back much go good new"
    " write our me man too any day same right look think also around another came come work three"
    " word must because does part even place well such here take why help put different away again"
    " off went old number great tell men say small every found still between name should home big"  # words: speech
    " give air line set own under read last never us left end along while might next sound below saw"
    " something thought both few those always show large often together asked house world going want"  # words: speech
    " school important until form food keep children feet land side without boy once animal life"
    " enough took four head above kind began almost live page got earth need far hand high year"
    " mother light country father let night picture being study second soon story since white ever"
    " paper hard near sentence better best across during today however sure knew try told young sun"  # words: speech
    " thing whole hear example heard several change answer room sea against top turned learn point"  # words: speech
    " city play toward five himself usually money seen car morning hello voice speech model listen"  # words: speech
    " speak language sentence quick brown fox jumps lazy dog weather thank please welcome test"
).split()
CHINESE_WORDS = (  # noqa: SIM905
    "\u4f60\u597d \u4e16\u754c \u4eca\u5929 \u5929\u6c14 \u6211\u4eec \u4ed6\u4eec \u4e2d\u56fd \u5317\u4eac"
    " \u4eba\u5de5 \u667a\u80fd \u4eba\u5de5\u667a\u80fd \u8bed\u97f3 \u5408\u6210 \u8bed\u97f3\u5408\u6210"
    " \u6b22\u8fce \u8c22\u8c22 \u6a21\u578b \u58f0\u97f3 \u6d4b\u8bd5 \u65f6\u95f4"
).split()


def write_tiny_tokenizer(folder: Path) -> int:
    """Write tokenizer.json and its two companion files; returns the vocabulary size."""
    tokenizer = build_tiny_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    special = dict(zip(("unk_token", "bos_token", "eos_token"), CONTROL_TOKENS, strict=True))
    companions = {"tokenizer_config.json": special | _TOKENIZER_CONFIG, "special_tokens_map.json": special}
    for name, content in companions.items():
        (folder / name).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return tokenizer.get_vocab_size(with_added_tokens=True)


def build_tiny_tokenizer() -> Tokenizer:
    """Build a byte-pair encoding with byte fallback and a word mark before each word, as in Llama's tokenizer."""
    vocabulary, merges = _vocabulary_and_merges()
    tokenizer = Tokenizer(BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))  # noqa: S106
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(WORD_MARK), normalizers.Replace(" ", WORD_MARK)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(WORD_MARK, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = [AddedToken(token, special=True, normalized=False) for token in (*CONTROL_TOKENS, *AUDIO_TOKENS)]
    tokenizer.add_special_tokens(special)
    return tokenizer


_TOKENIZER_CONFIG = {
    "tokenizer_class": "LlamaTokenizer",
    "add_bos_token": True,
    "add_eos_token": False,
    "clean_up_tokenization_spaces": False,
    "legacy": True,
}


def _vocabulary_and_merges() -> tuple[dict[str, int], list[tuple[str, str]]]:
    reserved = [f"<reserved_{index}>" for index in range(len(CONTROL_TOKENS), FIRST_AUDIO_TOKEN)]
    pieces = [*CONTROL_TOKENS, *reserved, *AUDIO_TOKENS, *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += [WORD_MARK, *string.printable[:94], *PUNCTUATION, *_common_chinese_characters()]
    merges: dict[tuple[str, str], None] = {}
    for word in (*(WORD_MARK + word for word in ENGLISH_WORDS), *CHINESE_WORDS, WORD_MARK + CHINESE_WORDS[0]):
        merges |= dict.fromkeys((word[:end], word[end]) for end in range(1, len(word)))
    pieces += [first + second for first, second in merges]
    return {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}, list(merges)


def _common_chinese_characters() -> list[str]:
    """Return the characters of level 1 of GB 2312."""
    pairs = [bytes((high, low)) for high in range(0xB0, 0xD8) for low in range(0xA1, 0xFF)]
    return list("".join(pair.decode("gb2312", "ignore") for pair in pairs))
