"""start.sh with a fake driver, a fake Python and ports that are in use."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
SCRIPT = ROOT / "inference" / "start.sh"
PATIENCE_SECONDS = 60.0
# Writes its arguments to $CALLS; as the server it runs until SIGTERM and exits with 7, as Jupyter it sleeps.
PYTHON = """#!/bin/bash
case "$*" in
  "-c import jupyterlab") exit ${NO_JUPYTER:-0} ;;
  -c*) exit 0 ;;
esac
echo "$* model=$VOXFLEET_MODEL_PATH voices=$VOXFLEET_VOICES_DIR token=$JUPYTER_TOKEN" >> "$CALLS"
case "$2" in
  jupyterlab) echo "$JUPYTERLAB_DIR $JUPYTER_PATH" > "$CALLS.pages"; echo $$ >> "$CALLS.pid"; exec sleep 600 ;;
  *) [ -n "$STAYS" ] || exit 5
     trap 'exit 7' TERM
     echo up >> "$CALLS.up"
     while true; do sleep 0.05; done ;;
esac
"""
WEIGHTS = ("config.json", "tokenizer.json", "model.safetensors", "audiovae.pth")


class Machine:
    """The PATH, folders and ports that the script finds."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.model, self.voices, self.calls = (folder / n for n in ("bin", "model", "voices", "calls"))
        for each in (self.bin, self.model, self.voices):
            each.mkdir()
        for name in WEIGHTS:
            (self.model / name).touch()
        self.put("python", PYTHON)
        self.driver("580.95.05")
        self.environment = {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "PYTHON": "python",
            "CALLS": str(self.calls),
            "VOXFLEET_MODEL_PATH": str(self.model),
            "VOXFLEET_VOICES_DIR": str(self.voices),
            **dict.fromkeys(("VOXFLEET_PORT", "VOXFLEET_METRICS_PORT", "VOXFLEET_INTERNAL_PORT", "NOTEBOOK_PORT"), "1"),
        }

    def put(self, name: str, script: str) -> None:
        (self.bin / name).write_text(script)
        (self.bin / name).chmod(0o755)

    def driver(self, version: str) -> None:
        self.put("nvidia-smi", f"#!/bin/bash\necho '{version}'\n")

    def start(self, *flags: str) -> subprocess.CompletedProcess[str]:
        return run(self, SCRIPT, *flags)

    def called(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def taken_port() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield str(taken.getsockname()[1])


def missing(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 1
    *lines, last = done.stderr.splitlines()
    assert last == f"start.sh: not started: {len(lines)} thing(s) missing"
    return [line.removeprefix("start.sh: missing: ") for line in lines]


def test_the_server_is_started_with_its_flags(machine: Machine) -> None:
    done = machine.start("--drain-seconds", "3")
    assert done.returncode == 5, "the server's own exit code"
    expected = f"-m voxfleet_inference serve --drain-seconds 3 model={machine.model} voices={machine.voices} token="
    assert "open http://localhost:1/ once the model is loaded; programs use http://localhost:1/v1" in done.stderr
    assert machine.called() == [expected]


def test_a_check_starts_nothing(machine: Machine) -> None:
    done = machine.start("--check")
    assert (done.returncode, machine.called()) == (0, [])
    assert f"the model in {machine.model} on cuda" in done.stderr


def test_each_missing_thing_is_one_line_with_what_to_do(machine: Machine, taken_port: str) -> None:
    (machine.bin / "nvidia-smi").unlink()
    (machine.model / "model.safetensors").unlink()
    (machine.model / "audiovae.pth").unlink()
    lines = missing(machine.start("--port", taken_port))
    assert [line.partition(";")[0] for line in lines] == [
        "an NVIDIA driver (no nvidia-smi)",
        f"model.safetensors or pytorch_model.bin in {machine.model}",
        f"audiovae.safetensors or audiovae.pth in {machine.model}",
        f"a free port {taken_port}",
    ]
    assert "--gpus all" in lines[0]
    assert lines[1].endswith(f"; download them: {SCRIPT} --download")
    assert "choose another with --port" in lines[3]
    assert machine.called() == []


def test_an_old_or_failing_driver_is_missing(machine: Machine) -> None:
    machine.driver("550.144.03")
    assert "a newer NVIDIA driver (this is 550.144.03); install version 580" in missing(machine.start())[0]
    machine.put("nvidia-smi", "#!/bin/bash\necho 'NVIDIA-SMI has failed'\nexit 9\n")
    assert "a working GPU" in missing(machine.start())[0]


def test_a_driver_with_many_gpus_is_one_driver(machine: Machine) -> None:
    machine.put("nvidia-smi", "#!/bin/bash\nfor gpu in 1 2 3; do echo 580.95.05 || exit 1; sleep 0.1; done\n")
    assert machine.start().returncode == 5, "the server's own exit code"
    machine.put("nvidia-smi", "#!/bin/bash\nprintf '550.1\\n550.1\\n'\n")
    assert "a newer NVIDIA driver (this is 550.1);" in missing(machine.start())[0]


@pytest.mark.parametrize("flags", [("--device", "cpu"), ("--device=cpu",)])
def test_device_cpu_needs_no_driver(machine: Machine, flags: tuple[str, ...]) -> None:
    (machine.bin / "nvidia-smi").unlink()
    assert machine.start(*flags).returncode == 5


def test_missing_weights_are_one_line_with_their_folder(machine: Machine, tmp_path: Path) -> None:
    [line] = missing(machine.start(f"--model-path={tmp_path / 'nowhere'}"))
    assert line.startswith(f"the model's weights (no files in {tmp_path / 'nowhere'})")


def test_without_weights_the_demo_voice_speaks(machine: Machine) -> None:
    del machine.environment["VOXFLEET_MODEL_PATH"]
    done = machine.start("--check")
    assert done.returncode == 0
    assert re.search(r"the model in \S+/models/demo on cuda", done.stderr)
    assert "English only; --download fetches VoxCPM 1.5, --model-path names other weights" in done.stderr


def test_a_users_folder_named_demo_is_not_called_the_demo_voice(machine: Machine) -> None:
    own = machine.model.rename(machine.model.with_name("demo"))
    done = machine.start("--check", "--model-path", str(own))
    assert (done.returncode, "demo voice" in done.stderr) == (0, False)


def test_a_python_without_the_package_is_missing(machine: Machine) -> None:
    machine.put("python", "#!/bin/bash\nexit 1\n")
    remedy = "PYTHON names it: name one that has the package, or unset PYTHON"
    assert missing(machine.start())[0] == f"the package voxfleet_inference; {remedy}"
    machine.environment["PYTHON"] = "no-such-python"
    assert missing(machine.start())[0].startswith("Python (no-such-python);")


def copied_checkout(machine: Machine, folder: Path, *, has_environment: bool) -> Path:
    """Copy the script into a checkout whose setup is fake, with or without its environment."""
    script = folder / "checkout" / "inference" / "start.sh"
    script.parent.mkdir(parents=True)
    shutil.copy(SCRIPT, script)
    (folder / "checkout" / "pyproject.toml").touch()
    setup = folder / "checkout" / "scripts" / "setup"
    setup.parent.mkdir()
    setup.write_text(
        f"#!/bin/bash\necho setup >> $CALLS\ncd {shlex.quote(str(folder))}/checkout && mkdir -p .venv/bin\n"
    )
    with setup.open("a") as more:
        more.write(f"cp {machine.bin}/python .venv/bin/python\n")
    setup.chmod(0o755)
    if has_environment:
        (folder / "checkout" / ".venv" / "bin").mkdir(parents=True)
        shutil.copy(machine.bin / "python", folder / "checkout" / ".venv" / "bin" / "python")
    del machine.environment["PYTHON"]
    machine.put("python3", "#!/bin/bash\nexit 1\n")  # the system's has no package
    return script


def run(machine: Machine, script: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [script, *flags],
        env=machine.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_a_checkout_uses_its_own_environment(machine: Machine, tmp_path: Path) -> None:
    script = copied_checkout(machine, tmp_path, has_environment=True)
    assert run(machine, script).returncode == 5, "the server's own exit code"
    assert len(machine.called()) == 1


def test_a_checkout_without_an_environment_makes_one_when_asked(machine: Machine, tmp_path: Path) -> None:
    script = copied_checkout(machine, tmp_path, has_environment=False)
    assert missing(run(machine, script))[0].endswith(f"make this checkout's environment: {script} --setup")
    assert run(machine, script, "--setup").returncode == 5
    assert [line.split()[0] for line in machine.called()] == ["setup", "-m"]


def test_the_advice_can_be_typed_where_a_folder_has_a_space(machine: Machine, tmp_path: Path) -> None:
    script = copied_checkout(machine, tmp_path / "a folder's name", has_environment=False)
    remedy = missing(run(machine, script))[0].partition("environment: ")[2]
    typed = subprocess.run(["bash", "-c", remedy], env=machine.environment, timeout=PATIENCE_SECONDS, check=False)
    assert typed.returncode == 5, "the server's own exit code"


def test_setup_serves_with_the_environment_that_it_made_and_not_with_what_made_it(
    machine: Machine, tmp_path: Path
) -> None:
    script = copied_checkout(machine, tmp_path, has_environment=False)
    machine.environment["PYTHON"] = "python3"  # which has no package
    assert run(machine, script, "--setup").returncode == 5


def test_outside_of_a_checkout_no_setup_is_offered(machine: Machine, tmp_path: Path) -> None:
    script = tmp_path / "start.sh"
    shutil.copy(SCRIPT, script)
    machine.put("python", "#!/bin/bash\nexit 1\n")
    assert missing(run(machine, script))[0].endswith("name one that has the package, or unset PYTHON")
    del machine.environment["PYTHON"]
    machine.put("python3", "#!/bin/bash\nexit 1\n")
    assert missing(run(machine, script))[0].endswith(f"name a Python that has it: PYTHON=/path/to/python3 {script}")
    refused = run(machine, script, "--setup")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


def test_a_download_is_served_afterwards(machine: Machine, tmp_path: Path) -> None:
    data = tmp_path / "data"
    folder = data / "voxfleet" / "models" / "voxcpm"
    machine.environment["XDG_DATA_HOME"] = str(data)
    del machine.environment["VOXFLEET_MODEL_PATH"]
    files = " ".join(f"{folder}/{name}" for name in WEIGHTS)
    fetching = f'case "$*" in *" fetch "*) mkdir -p {folder}; touch {files} ;; esac\n'
    machine.put("python", PYTHON.replace("#!/bin/bash\n", f"#!/bin/bash\n{fetching}").replace("exit 5", "exit 0"))
    assert machine.start("--download").returncode == 0
    fetched, served = machine.called()
    assert fetched.startswith(f"-m voxfleet_inference fetch --source hf://openbmb/VoxCPM1.5 --to {folder} ")
    assert f"model={folder} " in served
    machine.calls.unlink()
    assert machine.start().returncode == 0
    assert f"model={folder} " in machine.called()[0]


def test_a_download_that_fails_starts_nothing(machine: Machine) -> None:
    machine.put("python", '#!/bin/bash\ncase "$*" in -c*) exit 0 ;; *fetch*) exit 3 ;; esac\necho "$*" >> "$CALLS"\n')
    assert (machine.start("--download").returncode, machine.called()) == (3, [])


def test_voices_are_kept_by_default(machine: Machine, tmp_path: Path) -> None:
    machine.environment["XDG_DATA_HOME"] = str(tmp_path / "data")
    del machine.environment["VOXFLEET_VOICES_DIR"]
    done = machine.start()
    folder = "/voices" if os.access("/voices", os.W_OK) else f"{tmp_path}/data/voxfleet/voices"
    assert f"voices={folder} " in machine.called()[0]
    assert f"voices are kept in {folder}" in done.stderr
    assert "voices cannot be stored" in machine.start("--voices-dir", "/dev/null/voices").stderr


@pytest.mark.parametrize(
    ("flags", "variable", "aliases"),
    [
        ((), None, "tts-1,tts-1-hd,gpt-4o-mini-tts"),
        ((), "mine", "mine"),
        (("--model-aliases", "own"), "mine", "own"),
        (("--model-aliases=",), None, ""),
    ],
)
def test_openais_models_are_names_of_this_one(
    machine: Machine, flags: tuple[str, ...], variable: str | None, aliases: str
) -> None:
    machine.put(
        "python", '#!/bin/bash\ncase "$1" in -c) exit 0 ;; esac\necho "[$VOXFLEET_MODEL_ALIASES]" >> "$CALLS"\n'
    )
    machine.environment |= {} if variable is None else {"VOXFLEET_MODEL_ALIASES": variable}
    machine.start(*flags)
    assert machine.called() == [f"[{aliases}]"]


@pytest.mark.parametrize(("host", "address"), [("127.0.0.1", "127.0.0.1"), ("::", "localhost"), ("::1", "[::1]")])
def test_the_pages_address_is_that_of_the_host(machine: Machine, host: str, address: str) -> None:
    assert f"open http://{address}:1/ once" in machine.start("--check", "--host", host).stderr


def test_help_names_every_flag_of_the_script(machine: Machine) -> None:
    for flag in ("--help", "-h"):
        done = machine.start(flag)
        assert (done.returncode, done.stderr, machine.called()) == (0, "", [])
        for named in ("--check", "--setup", "--download", "--notebook", "PYTHON", "serve --help", "/models/voxcpm"):
            assert named in done.stdout
        assert not done.stdout.startswith("#")
        assert "pipefail" not in done.stdout


def test_a_service_link_of_kubernetes_is_ignored(machine: Machine) -> None:
    machine.environment["VOXFLEET_METRICS_PORT"] = "tcp://10.0.0.1:9090"
    assert "missing" not in machine.start("--check", "--device", "cpu", "--metrics-port", "1").stderr


def test_a_notebook_that_is_not_installed_is_missing(machine: Machine, taken_port: str) -> None:
    machine.environment |= {"NO_JUPYTER": "1", "NOTEBOOK_PORT": taken_port}
    lines = missing(machine.start("--notebook"))
    assert lines[0].startswith("Jupyter Lab; build the image with --build-arg JUPYTER=install")
    assert lines[1].startswith(f"a free port {taken_port};")


def wait_for(path: Path) -> str:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not path.exists() or not path.read_text():
        assert time.monotonic() < deadline, path
        time.sleep(0.05)
    return path.read_text()


@pytest.mark.parametrize(("host", "token"), [("127.0.0.1", ""), ("0.0.0.0", "a token of mine")])  # noqa: S104
def test_a_notebook_has_a_token_is_on_loopback_by_default_and_ends_with_the_server(
    machine: Machine, host: str, token: str
) -> None:
    machine.environment |= {"STAYS": "1", "JUPYTER_TOKEN": token}
    machine.environment |= {"NOTEBOOK_HOST": host, "NOTEBOOK_TLS": "proxy"} if token else {}
    process = subprocess.Popen([SCRIPT, "--notebook"], env=machine.environment, stderr=subprocess.PIPE, text=True)
    wait_for(Path(f"{machine.calls}.up"))
    jupyter = int(wait_for(Path(f"{machine.calls}.pid")))
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 7, "the server's own exit code"
    [call] = [line for line in machine.called() if "jupyterlab" in line]
    given = call.rpartition("token=")[2]
    assert given == token if token else re.fullmatch("[0-9a-f]{48}", given)
    assert f"--ip={host} " in call
    assert f"http://{host}:1/lab?token={given}" in errors
    deadline = time.monotonic() + PATIENCE_SECONDS
    while Path(f"/proc/{jupyter}").exists() and "zombie" not in Path(f"/proc/{jupyter}/status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "127.example.com"])  # noqa: S104
def test_a_notebook_on_a_network_needs_tls(machine: Machine, host: str) -> None:
    machine.environment["NOTEBOOK_HOST"] = host
    [line] = missing(machine.start("--check", "--notebook"))
    assert line.startswith(f"TLS for Jupyter Lab on NOTEBOOK_HOST={host}; name files in NOTEBOOK_CERTIFICATE")
    machine.environment["NOTEBOOK_TLS"] = "proxy"
    assert machine.start("--check", "--notebook").returncode == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.53", "localhost", "::1"])
def test_a_notebook_on_loopback_needs_none(machine: Machine, host: str) -> None:
    machine.environment["NOTEBOOK_HOST"] = host
    assert machine.start("--check", "--notebook").returncode == 0


def test_a_certificate_that_cannot_be_read_is_missing_and_one_that_can_is_used(
    machine: Machine, tmp_path: Path
) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    machine.environment |= {"NOTEBOOK_HOST": "0.0.0.0", "NOTEBOOK_CERTIFICATE": str(certificate), "NOTEBOOK_KEY": ""}  # noqa: S104
    lines = missing(machine.start("--check", "--notebook"))
    assert lines[0].startswith(f"the file in NOTEBOOK_CERTIFICATE ({certificate})")
    assert lines[1].startswith("the file in NOTEBOOK_KEY ()")
    certificate.touch()
    key.touch()
    machine.environment |= {"STAYS": "1", "NOTEBOOK_KEY": str(key)}
    process = subprocess.Popen([SCRIPT, "--notebook"], env=machine.environment, stderr=subprocess.PIPE, text=True)
    wait_for(Path(f"{machine.calls}.up"))
    wait_for(Path(f"{machine.calls}.pid"))
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    [call] = [line for line in machine.called() if "jupyterlab" in line]
    assert f"--ServerApp.certfile={certificate} --ServerApp.keyfile={key}" in call
    assert "https://0.0.0.0:1/lab?token=" in errors


@pytest.mark.parametrize("folder", ["lab", "kernels"])
def test_a_notebook_finds_its_pages_where_it_is_installed_apart(machine: Machine, tmp_path: Path, folder: str) -> None:
    share = tmp_path / "packages" / "share" / "jupyter"
    (share / folder).mkdir(parents=True)
    machine.environment |= {"STAYS": "1", "NOTEBOOK_PACKAGES": str(tmp_path / "packages"), "JUPYTER_PATH": "/own"}
    process = subprocess.Popen([SCRIPT, "--notebook"], env=machine.environment, stderr=subprocess.DEVNULL)
    wait_for(Path(f"{machine.calls}.pid"))
    wait_for(Path(f"{machine.calls}.up"))
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=PATIENCE_SECONDS)
    expected = f"{share}/lab {share}:/own" if folder == "lab" else " /own"
    assert Path(f"{machine.calls}.pages").read_text() == f"{expected}\n"


def test_the_minimum_driver_is_that_of_the_locked_cuda() -> None:
    lock = (ROOT / "requirements" / "inference.txt").read_text()
    [cuda] = re.findall(r"^cuda-toolkit==(\d+)\.", lock, re.MULTILINE)
    [driver] = re.findall(r"MIN_DRIVER=(\d+)", SCRIPT.read_text())
    assert {"12": "525", "13": "580"}[cuda] == driver


def test_the_script_is_executable() -> None:
    assert os.access(SCRIPT, os.X_OK)
