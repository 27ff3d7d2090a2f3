"""A kubeconfig or an API server that cannot be used: one line that says what was tried, and the way out."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from voxfleet_cli.cluster import Cluster
from voxfleet_cli.errors import ClusterError


@pytest.mark.parametrize("content", ["{bad", "- a list", "current-context: c", "a text", "\x00"])
def test_a_kubeconfig_that_is_none(tmp_path: Path, content: str) -> None:
    file = tmp_path / "config"
    file.write_text(content)
    for use in (lambda: Cluster(str(file)).namespace, lambda: Cluster(str(file)).get("/version")):
        with pytest.raises(ClusterError) as raised:
            use()
        assert f"no access to a cluster by --kubeconfig {file}: " in str(raised.value)
        assert "\n" not in str(raised.value)
        assert "--kubeconfig FILE or KUBECONFIG" in str(raised.value)
        assert "object" not in str(raised.value)  # Python's words for it


ONE = {"contexts": [{"name": "one", "context": {"cluster": "gone", "user": "u"}}]}
TWO = {
    "contexts": [
        {"name": "one", "context": {"cluster": "gone", "user": "u"}},
        {"name": "two", "context": {"cluster": "gone", "user": "u"}},
    ]
}


@pytest.mark.parametrize(
    ("content", "context", "fault"),
    [
        (TWO, "three", "it has no context three; --context names one of: one, two"),
        (TWO, None, "it has no current-context; --context names one of: one, two"),
        (ONE | {"current-context": "old"}, None, "its current-context old is not there; --context names one of: one"),
        ({"contexts": []}, None, "it has no contexts; name another by --kubeconfig FILE or KUBECONFIG"),
        ({"contexts": ["one"]}, None, "it is no kubeconfig; name another by --kubeconfig FILE or KUBECONFIG"),
    ],
)  # fmt: skip
def test_each_fault_of_a_kubeconfig_has_its_way_out(
    tmp_path: Path, content: dict[str, Any], context: str | None, fault: str
) -> None:
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(ClusterError) as raised:
        Cluster(str(file), context).get("/version")
    assert str(raised.value) == f"no access to a cluster by --kubeconfig {file}: {fault}"


def test_a_context_whose_cluster_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "clusters": [], "users": []} | TWO))
    with pytest.raises(ClusterError, match=r"gone.*; name another by .*, or another of its contexts .*: one, two$"):
        Cluster(str(file), "one").get("/version")


def test_the_files_of_KUBECONFIG_are_one_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: N802
    files = [tmp_path / "a", tmp_path / "b"]
    for file, name in zip(files, ("one", "two"), strict=True):
        file.write_text(yaml.safe_dump({"contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}}]}))
    monkeypatch.setenv("KUBECONFIG", ":".join(map(str, [*files, tmp_path / "absent"])))
    with pytest.raises(ClusterError, match=r"no context three; --context names one of: one, two$"):
        Cluster(context="three").get("/version")


def test_the_kubeconfig_that_was_tried_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nonexistent/config")
    with pytest.raises(ClusterError, match=r"by KUBECONFIG=/nonexistent/config: there is no such file; name one by"):
        Cluster().get("/version")
    with pytest.raises(ClusterError, match=r"by the kubeconfig of the region's Secret: "):
        Cluster(content={"apiVersion": "v1"}).get("/version")


def test_credentials_that_are_not_accepted(served: Any) -> None:
    api, _ = served
    kubeconfig = Path(api.kubeconfig)
    expired = yaml.safe_load(kubeconfig.read_text())
    expired["users"][0]["user"]["token"] = "expired"
    kubeconfig.write_text(yaml.safe_dump(expired))
    with pytest.raises(ClusterError, match=r"Unauthorized; the kubeconfig's credentials have expired"):
        Cluster(str(kubeconfig)).get("/api/v1/pods")


def test_an_api_server_that_is_not_there() -> None:
    content = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {}}],
    }  # fmt: skip
    with pytest.raises(ClusterError) as raised:
        Cluster(content=content).get("/api/v1/pods?labelSelector=a%2Fb")
    said = str(raised.value)
    assert ": the API server http://127.0.0.1:1 did not respond: " in said
    assert said.endswith("Connection refused; does it run, and is --context the right one?")
