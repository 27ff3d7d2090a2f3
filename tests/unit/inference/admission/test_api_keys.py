from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from voxfleet_inference.admission.api_keys import ApiKey, ApiKeys, ApiKeysError, parse_api_keys
from voxfleet_inference.server import serve
from voxfleet_inference.settings import ServeSettings


def sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def test_names_hashes_comments_and_blank_lines() -> None:
    text = f"# who may speak\n\nada {sha256('one')}  # since May\nada sha256:{sha256('two').upper()}\n"
    assert parse_api_keys(text, "keys") == (ApiKey("ada", sha256("one")), ApiKey("ada", sha256("two")))


@pytest.mark.parametrize(
    "line", ["sk-a-plain-key", "ada sk-a-plain-key", f"{'a' * 64}", f"ada {'a' * 63}", f"a b {'a' * 64}"]
)
def test_a_wrong_line_is_named_with_what_to_do_and_never_quoted(line: str) -> None:
    with pytest.raises(ApiKeysError) as caught:
        parse_api_keys(f"\n{line}\n", "the file")
    assert str(caught.value).startswith("the file, line 2: must be a name")
    assert "sha256sum" in str(caught.value)
    assert line not in str(caught.value)


def test_a_key_is_found_by_its_hash(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"ada {sha256('one')}\nben {sha256('two')}\n")
    keys = ApiKeys(file)
    assert [keys.name_of(key) for key in ("one", "two", "three", sha256("one"), "")] == [
        "ada",
        "ben",
        None,
        None,
        None,
    ]


def test_the_file_is_read_again_when_it_changes_or_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"ada {sha256('one')}\n")
    keys = ApiKeys(file)
    file.write_text(f"ada {sha256('one')}\nbenjamin {sha256('two')}\n")
    assert keys.name_of("two") == "benjamin"
    (tmp_path / "new").write_text(f"cy {sha256('three')}\n")
    (tmp_path / "new").rename(file)
    assert [keys.name_of("one"), keys.name_of("three")] == [None, "cy"]


def test_an_invalid_or_deleted_file_leaves_the_keys_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"ada {sha256('one')}\n")
    keys = ApiKeys(file)
    file.write_text("nonsense\n")
    assert keys.name_of("one") == "ada"
    file.unlink()
    assert keys.name_of("one") == "ada"
    file.write_text("# nobody any more\n")
    assert keys.name_of("one") is None


def test_a_missing_file_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ApiKeysError, match="cannot be read: No such file"):
        ApiKeys(tmp_path / "none")


def test_a_server_with_an_invalid_file_prints_one_line_and_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "keys").write_text("ada sk-in-plain-text\n")
    monkeypatch.setattr(serve, "configure_logging", lambda _: None)
    settings = ServeSettings(model_path=tmp_path, api_keys_file=tmp_path / "keys")
    assert serve.serve(settings) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"voxfleet-inference: --api-keys-file {tmp_path / 'keys'}, line 1: must be a name")
