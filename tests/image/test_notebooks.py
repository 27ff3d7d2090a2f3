"""Jupyter Lab in the image: never without its token, on loopback unless asked, and its notebooks run beside the model.

A notebook pod runs the same image by the operator's command, which is taken from the operator's own manifest.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from voxfleet_operator.decisions.ways_in import Way, WaysIn
from voxfleet_operator.manifests import Installation
from voxfleet_operator.manifests.containers import PodSettings
from voxfleet_operator.manifests.ways_in import ways_in_objects
from voxfleet_operator.resources import read_resource
from voxfleet_testbed.network.addresses import ports_for_later
from websockets.sync.client import connect

if TYPE_CHECKING:
    from conftest import Container
    from voxfleet_testbed.images.engine import Engine

PORT = 8888
TOKEN = "a-token-for-this-check"
CELL_SECONDS = 300.0
JUPYTER_SECONDS = 180.0
SHOWN = {"stream_speech": "the same audio: True", "clone_voice": "voice_", "measure_latency": "first audio p50"}
NOTEBOOKS = tuple(SHOWN)


class Jupyter:
    """A client of Jupyter's own API, as its page is one."""

    def __init__(self, url: str, token: str, trusted: ssl.SSLContext | None = None) -> None:
        self.url, self.headers, self.trusted = url, {"Authorization": f"token {token}"}, trusted
        self.http = httpx.Client(base_url=url, headers=self.headers, timeout=60, verify=trusted or True)

    def run(self, notebook: dict[str, Any]) -> list[str]:
        """Run the code cells in a kernel; return the text of each output. A cell that fails fails the test."""
        kernel = self.http.post("/api/kernels", json={"name": "python3"}).raise_for_status().json()["id"]
        url = f"{self.url.replace('http', 'ws', 1)}/api/kernels/{kernel}/channels"
        try:
            with connect(url, additional_headers=self.headers, ssl=self.trusted, max_size=None) as socket:
                cells = ["".join(each["source"]) for each in notebook["cells"] if each["cell_type"] == "code"]
                return [text for cell in cells for text in run_cell(socket, cell)]
        finally:
            self.http.delete(f"/api/kernels/{kernel}")


def run_cell(socket: Any, code: str) -> Iterator[str]:
    """Yield the texts that a cell puts out, until its kernel is idle again."""
    request = uuid.uuid4().hex
    header = {"msg_id": request, "msg_type": "execute_request", "username": "", "session": request, "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    socket.send(json.dumps(message))
    while True:
        answer = json.loads(socket.recv(timeout=CELL_SECONDS))
        if answer["parent_header"].get("msg_id") != request or answer["channel"] != "iopub":
            continue
        match answer["header"]["msg_type"], answer["content"]:
            case "error", content:
                pytest.fail("\n".join(content["traceback"]))
            case "stream", content:
                yield content["text"]
            case (("execute_result" | "display_data"), content):
                yield content["data"]["text/plain"]
            case "status", {"execution_state": "idle"}:
                return


def assert_the_token_is_required(url: str, trusted: ssl.SSLContext | None = None) -> None:
    with httpx.Client(base_url=url, timeout=60, verify=trusted or True) as http:
        page = http.get("/lab")
        assert page.status_code == 302
        assert page.headers["location"].startswith("/login")
        for wrong in ({}, {"Authorization": "token wrong"}):
            assert http.get("/api/contents", headers=wrong).status_code == 403
            assert http.post("/api/kernels", headers=wrong, json={"name": "python3"}).status_code == 403
        assert http.get("/lab?token=").status_code == 302


@pytest.fixture(scope="module")
def beside(start_container: Callable[..., Any]) -> Iterator[Container]:
    """A server with --notebook on every address of its container, as behind TLS."""
    extra = ("--env=NOTEBOOK_HOST=0.0.0.0", "--env=NOTEBOOK_TLS=proxy", f"--env=JUPYTER_TOKEN={TOKEN}")
    with start_container("--notebook", extra=extra, published=(PORT,)) as running:
        running.wait_for_ready()
        running.wait_for(lambda: httpx.get(running.url("/api", PORT), timeout=30).status_code == 200)
        yield running


def test_the_notebook_needs_its_token(beside: Container) -> None:
    assert_the_token_is_required(beside.url("", PORT))
    good = httpx.get(beside.url("/api/contents", PORT), headers={"Authorization": f"token {TOKEN}"}, timeout=60)
    assert good.status_code == 200
    arguments = beside.exec("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").stdout
    assert "jupyterlab" in arguments
    assert TOKEN not in arguments


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_of_the_image_runs_beside_the_model(beside: Container, name: str) -> None:
    notebook = json.loads(beside.exec("cat", f"/opt/voxfleet/notebooks/{name}.ipynb").stdout)
    shown = Jupyter(beside.url("", PORT), TOKEN).run(notebook)
    assert shown[0] == "'voxcpm-1.5'"
    assert [text for text in shown if SHOWN[name] in text], shown


def test_without_being_asked_it_listens_on_loopback_with_a_token_of_its_own(
    start_container: Callable[..., Any],
) -> None:
    with start_container("--notebook", published=(PORT,)) as running:
        running.wait_for_ready()
        inside = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8888/api').status)"
        running.wait_for(lambda: running.exec("python3", "-c", inside, check=False).stdout.strip() == "200")
        with pytest.raises(httpx.TransportError):
            httpx.get(running.url("/api", PORT), timeout=10)
        code, printed = running.interrupt()
    assert code in {0, 130}, printed
    [line] = [line for line in printed.splitlines() if "/lab?token=" in line and line.startswith("start.sh:")]
    assert len(line.rpartition("token=")[2]) == 48


@dataclass(frozen=True, slots=True)
class Pod:
    """The container of a notebook pod, and the authority of its certificate."""

    engine: Engine
    name: str
    url: str
    trusted: ssl.SSLContext


@pytest.fixture(scope="module")
def pod(engine: Engine, image: str, container: Container, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """The notebook pod's container, by the operator's manifest, with TLS of its own; its gateway is `container`."""
    folder = certificate(tmp_path_factory.mktemp("tls"))
    name, [port], spec = f"voxfleet-pod-{uuid.uuid4().hex[:8]}", ports_for_later(1), pod_container()
    address = engine.run("inspect", "--format", "{{.NetworkSettings.IPAddress}}", container.name).stdout.strip()
    values = {"JUPYTER_TOKEN": TOKEN, "VOXFLEET_URL": f"http://{address}:6006", "VOXFLEET_MODEL": "tts-1"}
    environment = {each["name"]: values.get(each["name"], each.get("value")) for each in spec["env"]}
    mounts = {each["name"]: each["mountPath"] for each in spec["volumeMounts"]}
    tls = mounts.pop("tls")
    first, *command = [*spec["command"], *spec["args"]]
    engine.run(
        *("run", "--detach", f"--name={name}", f"--publish=127.0.0.1:{port}:{PORT}"),
        *("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", f"--volume={folder}:{tls}:ro"),
        *(f"--tmpfs={path}:mode=1777" for path in mounts.values()),
        *(f"--env={key}={value}" for key, value in environment.items()),
        *(f"--entrypoint={first}", image, *command),
    )
    running = Pod(engine, name, f"https://127.0.0.1:{port}", ssl.create_default_context(cafile=folder / "tls.crt"))
    try:
        wait_for_jupyter(running)
        yield running
    finally:
        engine.run("rm", "--force", name, check=False)


def certificate(folder: Path) -> Path:
    """Write a certificate for loopback, which the container's user can read."""
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    files = ["-keyout", f"{folder}/tls.key", "-out", f"{folder}/tls.crt"]
    subprocess.run([*make, "-addext", "subjectAltName=IP:127.0.0.1", *files], check=True, capture_output=True)
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def pod_container() -> dict[str, Any]:
    """Return the container of the notebook's StatefulSet; no token of an account is mounted into its pod."""
    metadata = {"namespace": "default", "name": "narrator", "uid": "u1", "generation": 1}
    notebook = {"enabled": True, "tlsSecretName": "lab-tls"}
    spec = {"regions": [{"name": "eu"}], "notebook": notebook}
    resource = read_resource({"metadata": metadata | {"creationTimestamp": "2026-11-23T20:00:00Z"}, "spec": spec})
    settings = PodSettings("image", "IfNotPresent", "key")
    installation = Installation("voxfleet-system", "voxfleet-demand", "gateway", settings, ())
    objects = ways_in_objects(resource, WaysIn(frozenset({Way.NOTEBOOK})), installation)
    [stateful_set] = [each.body for each in objects if each.body["kind"] == "StatefulSet"]
    pod_spec = stateful_set["spec"]["template"]["spec"]
    assert pod_spec["automountServiceAccountToken"] is False
    [only] = pod_spec["containers"]
    return dict(only)


def wait_for_jupyter(pod: Pod) -> None:
    deadline = time.monotonic() + JUPYTER_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{pod.url}/api", verify=pod.trusted, timeout=30).status_code == 200:
                return
        time.sleep(0.2)
    pytest.fail(pod.engine.run("logs", pod.name, check=False).stderr[-3000:])


def test_the_pod_needs_its_token_and_tls(pod: Pod) -> None:
    assert_the_token_is_required(pod.url, pod.trusted)
    with pytest.raises(httpx.TransportError):
        httpx.get(pod.url.replace("https", "http"), timeout=30)


def test_the_pod_has_no_account_and_no_rights(pod: Pod) -> None:
    inside = "test ! -e /var/run/secrets/kubernetes.io && ! env | grep KUBERNETES_ && id -u"
    assert pod.engine.run("exec", pod.name, "sh", "-c", inside).stdout.strip() == "65532"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_in_the_pod_with_the_resources_model(pod: Pod, name: str) -> None:
    file = pod.engine.run("exec", pod.name, "cat", f"/opt/voxfleet/notebooks/{name}.ipynb").stdout
    shown = Jupyter(pod.url, TOKEN, pod.trusted).run(json.loads(file))
    assert shown[0] == "'tts-1'", "VOXFLEET_MODEL"
    assert [text for text in shown if SHOWN[name] in text], shown
