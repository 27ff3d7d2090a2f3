from __future__ import annotations

from surroundings import EXCEPTIONS, SURROUNDINGS, Change, changes

_SHARE = 5  # each text is read in a fifth of its surroundings; the module's program reads it in all


def test_readings_do_not_change_by_what_is_around_a_text() -> None:
    seen = list(changes(_SHARE))
    changed = [each for each in seen if isinstance(each, Change)]
    assert [each for each in changed if each.text not in EXCEPTIONS] == []
    assert {each for each in seen if isinstance(each, str)} == set(SURROUNDINGS)
