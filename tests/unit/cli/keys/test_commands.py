"""`voxfleet keys` against an API server and against a file."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner
from voxfleet_cli.__main__ import app, main
from voxfleet_cli.errors import CliError
from voxfleet_cli.keys.entries import hash_of
from voxfleet_cli.keys.secrets import ATTEMPTS, texts_of

CREATE = ("create", "--tenant", "acme", "--model", "a/b", "--output", "json")


def created(run: Any, *more: str) -> dict[str, Any]:
    result = run(*CREATE, *more)
    assert result.exit_code == 0, result
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def stored(server: Any) -> dict[str, Any]:
    return {name: json.loads(text) for name, text in texts_of(server.secret).items()}


def test_a_created_key_is_shown_once_and_stored_as_its_hash(run: Any, server: Any) -> None:
    key = created(run, "--expires", "90d", "--may-upload", "--hold", "5m")
    assert key["key"].startswith("vf-")
    assert len(key["key"]) > 40
    entry = stored(server)[f"{key['id']}.json"]
    assert entry["hash"] == hash_of(key["key"])
    assert (entry["may_upload"], entry["hold_seconds"]) == (True, 300)
    assert key["key"] not in json.dumps(server.secret)
    listed = run("list").stdout
    assert key["id"] in listed
    assert "vf-" not in listed
    assert created(run)["key"] != key["key"]
    assert server.calls == ["GET", "POST", "GET", "GET", "PUT"]


def test_every_row_is_whole_and_says_its_state(run: Any, server: Any) -> None:
    key = created(run)
    broken = base64.b64encode(b'{"hash": "vf-secret"}').decode()
    server.secret["data"]["broken.json"] = broken
    rows = {row["id"]: row for row in json.loads(run("list", "-o", "json").stdout)}
    assert rows[key["id"]]["state"] == "valid"
    assert rows["broken"]["state"].startswith("ignored: hash: ")
    text = run("list").stdout
    assert "…" not in text
    assert "vf-secret" not in text + json.dumps(rows)


def test_rotation_and_revocation(run: Any, server: Any) -> None:
    key = created(run)
    rotated = json.loads(run("rotate", key["id"], "--overlap", "0s", "-o", "json").stdout)
    assert rotated["models"] == ["a/b"]
    states = {row["id"]: row["state"] for row in json.loads(run("list", "-o", "json").stdout)}
    assert states == {key["id"]: "expired", rotated["id"]: "valid"}
    assert "is revoked" in run("revoke", key["id"]).stdout
    assert {*stored(server)} == {f"{rotated['id']}.json"}
    assert run("list", options=("--secret", "voxfleet-keys")).exit_code == 0


def test_another_writers_change_is_kept(run: Any, server: Any) -> None:
    first = created(run)
    other = {"metadata": {"name": "voxfleet-keys"}, "data": dict(server.secret["data"]), "immutable": False}

    def once() -> None:
        server.before_write = lambda: None
        other["data"]["k-other.json"] = base64.b64encode(b"{}").decode()
        server.put(other)

    server.before_write = once
    second = created(run)
    assert {*stored(server)} == {f"{first['id']}.json", f"{second['id']}.json", "k-other.json"}
    assert server.secret["immutable"] is False, "fields that are not known here stay"


def test_a_secret_that_always_changes_is_given_up(run: Any, server: Any) -> None:
    created(run)
    server.before_write = lambda: server.put(server.secret)
    result = run(*CREATE)
    assert isinstance(result.exception, CliError)
    assert f"changed by others {ATTEMPTS} times" in str(result.exception)


def test_two_that_create_the_secret_at_once_both_stay(run: Any, server: Any) -> None:
    def once() -> None:
        server.before_write = lambda: None
        server.put({"metadata": {"name": "voxfleet-keys"}, "data": {"k-other.json": base64.b64encode(b"{}").decode()}})

    server.before_write = once
    key = created(run)
    assert {*stored(server)} == {"k-other.json", f"{key['id']}.json"}


def test_errors_name_what_is_missing(
    run: Any, server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.denied = 'secrets "voxfleet-keys" is forbidden'
    refused = run("list").exception
    assert "can't read Secret voxfleet-system/voxfleet-keys" in str(refused)
    assert "is forbidden; keys need get, create and update" in str(refused)
    nowhere = CliRunner().invoke(app, ["keys", "--kubeconfig", str(tmp_path / "none"), "list"]).exception
    assert "no access to a cluster" in str(nowhere)
    monkeypatch.setattr("sys.argv", ["voxfleet", "keys", "--file", str(tmp_path / "s.yaml"), "revoke", "k-1"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "voxfleet: there is no key 'k-1'; known: none\n"


def test_a_server_that_is_away_is_named(run: Any, tmp_path: Path) -> None:
    config = yaml.safe_load((tmp_path / "kubeconfig").read_text())
    config["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:9"
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    assert "did not respond" in str(run("list").exception)


def on_file(path: Path, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["keys", "--file", str(path), *arguments])


def test_a_file_is_a_manifest_for_gitops(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    first, second = (json.loads(on_file(path, *CREATE).stdout) for _ in range(2))
    manifest = yaml.safe_load(path.read_text())
    assert (manifest["kind"], manifest["metadata"]["name"]) == ("Secret", "voxfleet-keys")
    assert {*manifest["data"]} == {f"{first['id']}.json", f"{second['id']}.json"}
    assert on_file(path, "revoke", first["id"]).exit_code == 0
    assert {*yaml.safe_load(path.read_text())["data"]} == {f"{second['id']}.json"}
    assert [each.name for each in tmp_path.iterdir()] == ["keys.yaml"]


def test_a_dry_run_writes_nothing_and_prints_the_manifest_alone(run: Any, server: Any, tmp_path: Path) -> None:
    created(run)
    before = json.dumps(server.secret)
    result = run(*CREATE, "--dry-run")
    manifest = yaml.safe_load(result.stdout)
    assert len(manifest["data"]) == 2
    assert "resourceVersion" not in manifest["metadata"]
    key = json.loads(result.stderr)
    assert texts_of(manifest)[f"{key['id']}.json"].count(hash_of(key["key"])) == 1
    assert json.dumps(server.secret) == before
    path = tmp_path / "keys.yaml"
    assert yaml.safe_load(on_file(path, *CREATE, "--dry-run").stdout)["data"]
    assert not path.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: ConfigMap", "no manifest of a Secret"),
        ("a: [", "can't be read"),
        ("{kind: Secret, stringData: {a: b}}", "stringData"),
        ("{kind: Secret, data: {a: '***'}}", "not base64"),
    ],
)
def test_a_wrong_file_is_refused_and_kept(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text(text)
    assert message in str(on_file(path, *CREATE).exception)
    assert path.read_text() == text
