"""The API client against a TLS server: requests, trust, errors, waiting."""

from __future__ import annotations

import datetime as dt
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from voxfleet_testbed.cluster.api import Api, api_from_kubeconfig
from voxfleet_testbed.errors import ApiError, StartError
from voxfleet_testbed.network.certificates import (
    ADMINISTRATORS,
    Authority,
    Identity,
    KeyPair,
    make_authority,
    server_identity,
)
from voxfleet_testbed.network.kubeconfigs import kubeconfig

NOW = dt.datetime.now(dt.UTC)


CONFIG_MAP = "/api/v1/namespaces/default/configmaps/kept"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers from a table and keeps what it was asked."""

    answers: dict[str, tuple[int, str, str]]
    seen: list[dict[str, Any]]

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.seen.append(
            {
                "method": self.command,
                "path": self.path,
                "body": json.loads(body) if body else None,
                "type": self.headers["Content-Type"],
                "token": self.headers.get("Authorization"),
                "client": self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None,
            }
        )
        status, content_type, text = self.answers.get(self.path, (404, "text/plain", "nothing here"))
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_PATCH = do_DELETE = do_POST = _answer  # noqa: N815 - the names that http.server looks for

    def log_message(self, *_arguments: object) -> None:
        """Stay silent."""


@pytest.fixture(scope="module")
def authority() -> Authority:
    return make_authority("a test", NOW)


@pytest.fixture(scope="module")
def admin(authority: Authority) -> KeyPair:
    return authority.issue(Identity("admin", ADMINISTRATORS), NOW)


@pytest.fixture
def server(authority: Authority, tmp_path: Path) -> Iterator[http.server.ThreadingHTTPServer]:
    pair = authority.issue(server_identity(["127.0.0.1"]), NOW)
    (tmp_path / "pair.pem").write_bytes(pair.certificate + pair.key)
    (tmp_path / "ca.pem").write_bytes(authority.pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pair.pem")
    context.load_verify_locations(tmp_path / "ca.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    Handler.answers, Handler.seen = {"/readyz": (200, "text/plain", "ok")}, []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.socket = context.wrap_socket(listening.socket, server_side=True)
        threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
        yield listening
        listening.shutdown()


@pytest.fixture
def api(server: http.server.ThreadingHTTPServer, authority: Authority, admin: KeyPair, tmp_path: Path) -> Api:
    config = kubeconfig(f"https://127.0.0.1:{server.server_port}", authority.pem(), admin, name="here")
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    return api_from_kubeconfig(tmp_path / "kubeconfig")


def test_the_client_certificate_is_sent(api: Api) -> None:
    assert api.is_ready()
    subject = dict(pair[0] for pair in Handler.seen[0]["client"]["subject"])
    assert subject == {"organizationName": "system:masters", "commonName": "admin"}


def test_only_a_json_content_type_is_parsed(api: Api) -> None:
    Handler.answers["/log"] = (200, "text/plain", '{"event": "a line of a log"}')
    Handler.answers["/object"] = (200, "application/json", '{"kind": "Status"}')
    assert api.get("/log") == '{"event": "a line of a log"}'
    assert api.get("/object") == {"kind": "Status"}


def test_an_apply_is_server_side_with_our_field_manager(api: Api) -> None:
    Handler.answers[f"{CONFIG_MAP}?fieldManager=voxfleet-testbed&force=true"] = (200, "application/json", "{}")
    api.apply(CONFIG_MAP, {"kind": "ConfigMap"})
    assert Handler.seen[-1]["method"] == "PATCH"
    assert Handler.seen[-1]["type"] == "application/apply-patch+yaml"
    assert Handler.seen[-1]["body"] == {"kind": "ConfigMap"}


def test_a_status_is_changed_by_a_json_patch(api: Api) -> None:
    Handler.answers["/api/v1/nodes/eu-1/status"] = (200, "application/json", "{}")
    operation = {"op": "add", "path": "/status/capacity/nvidia.com~1gpu", "value": "4"}
    api.patch_status("/api/v1/nodes/eu-1", [operation])
    assert Handler.seen[-1]["type"] == "application/json-patch+json"
    assert Handler.seen[-1]["body"] == [operation]


def test_an_error_has_status_and_reason(api: Api) -> None:
    Handler.answers["/taken"] = (409, "application/json", '{"message": "already there"}')
    with pytest.raises(ApiError, match=r"answered 409.*already there") as raised:
        api.get("/taken")
    assert raised.value.status == 409


def test_waiting_ends_when_the_condition_holds(api: Api) -> None:
    Handler.answers["/pod"] = (200, "application/json", '{"phase": "Running"}')
    assert api.wait_for("/pod", lambda pod: pod["phase"] == "Running", 5) == {"phase": "Running"}


def test_a_wait_that_times_out_has_the_last_object(api: Api) -> None:
    Handler.answers["/pod"] = (200, "application/json", '{"phase": "Pending"}')
    with pytest.raises(StartError, match=r"/pod was not as expected after 0 s.*Pending"):
        api.wait_for("/pod", lambda pod: pod["phase"] == "Running", 0.3)


def test_a_wait_for_a_missing_object_reports_the_404(api: Api) -> None:
    with pytest.raises(StartError, match="answered 404"):
        api.wait_for("/nowhere", bool, 0.3)


def test_an_unreachable_server_is_not_ready(authority: Authority, admin: KeyPair, tmp_path: Path) -> None:
    config = kubeconfig("https://127.0.0.1:1", authority.pem(), admin, name="gone")
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    assert not api_from_kubeconfig(tmp_path / "kubeconfig").is_ready()


def test_a_server_of_another_authority_is_rejected(
    server: http.server.ThreadingHTTPServer, admin: KeyPair, tmp_path: Path
) -> None:
    stranger = make_authority("a stranger", NOW)
    config = kubeconfig(f"https://127.0.0.1:{server.server_port}", stranger.pem(), admin, name="here")
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    with pytest.raises(ssl.SSLCertVerificationError):
        api_from_kubeconfig(tmp_path / "kubeconfig").get("/readyz")


def test_a_users_own_kubeconfig_may_name_files_and_carry_a_token(
    server: http.server.ThreadingHTTPServer, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "authority.pem").write_bytes(authority.pem())
    elsewhere = {"name": "elsewhere", "cluster": {"server": "https://192.0.2.1:6443"}}
    here = {
        "name": "here",
        "cluster": {
            "server": f"https://127.0.0.1:{server.server_port}",
            "certificate-authority": str(tmp_path / "authority.pem"),
        },
    }
    config = {
        "current-context": "work",
        "contexts": [{"name": "work", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [elsewhere, here],
        "users": [{"name": "me", "user": {"token": "made-up"}}],
    }
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    assert api_from_kubeconfig(tmp_path / "config").is_ready()
    assert Handler.seen[-1]["token"] == "Bearer made-up"
    assert Handler.seen[-1]["client"] in ({}, None)
