import pytest
from voxfleet_voice.texts.word_list import WordList, build_word_list

TAGGED = {
    "cat": "NN",
    "engineer": "NN",
    "cats": "NNS",
    "London": "NNP",
    "green": "JJ",
    "slowly": "RB",
    "be": "VB",
    "ran": "VBD",
    "runs": "VBZ",
    "running": "VBG",
    "seen": "VBN",
    "taller": "JJR",
}
FREQUENT = ["walk", "walks", "walked", "walking", "tall", "taller", "tallest", "quick", "quickly", "cat", "zzz"]


@pytest.fixture(scope="session")
def words() -> WordList:
    lexicon = {*TAGGED, *FREQUENT, "ukulele"} - {"zzz"}
    return build_word_list(TAGGED, FREQUENT, lexicon)
