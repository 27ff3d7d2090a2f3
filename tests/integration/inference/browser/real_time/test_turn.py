"""The page speaks through a TURN server alone, as where a network lets no UDP of the browser pass: coturn, locally."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect
from voxfleet_testbed.network.addresses import ports_for_later

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),  # of the shared browser
    pytest.mark.skipif(shutil.which("turnserver") is None, reason="needs coturn: apt-get install coturn"),
]
TEXT = "A first sentence stands here. And this is the second one."
USER, PASSWORD = "ada", "a-password-for-tests"
# Before the page connects: every connection of the page may use relayed candidates alone, by that of its TURN servers
# which is reached over this protocol, and is kept for its figures.
RELAY_ALONE = """([protocol, change]) => {
  window.connections = [];
  const Direct = RTCPeerConnection;
  window.RTCPeerConnection = class extends Direct {
    constructor({ iceServers }) {
      const ofProtocol = iceServers.filter(({ urls }) => String(urls).endsWith(protocol));
      super({ iceServers: ofProtocol.map((each) => ({ ...each, ...change })), iceTransportPolicy: "relay" });
      connections.push(this);
    }
  };
}"""
# Of the connections with audio: the kind of the browser's own candidate, how it reaches the TURN server, and the audio.
FIGURES = """async () => {
  const found = [];
  for (const connection of connections) {
    const rows = [...(await connection.getStats()).values()];
    const audio = rows.find((row) => row.type === "inbound-rtp" && row.packetsReceived > 0);
    const pair = rows.find((row) => row.type === "candidate-pair" && row.nominated && row.state === "succeeded");
    if (!audio || !pair) continue;
    const local = rows.find((row) => row.id === pair.localCandidateId);
    found.push({ kind: local.candidateType, relayed: local.relayProtocol, energy: audio.totalAudioEnergy });
  }
  return found;
}"""


@dataclass
class Turn:
    """A running coturn."""

    port: int
    log: Path

    def servers(self) -> str:
        """Return the server's setting that names it to the page."""
        urls = [f"turn:127.0.0.1:{self.port}?transport={protocol}" for protocol in ("udp", "tcp")]
        return json.dumps([{"urls": each, "username": USER, "credential": PASSWORD} for each in urls])


@pytest.fixture(scope="module")
def turn(tmp_path_factory: pytest.TempPathFactory, wait_for: Callable[..., Any]) -> Iterator[Turn]:
    folder = tmp_path_factory.mktemp("turn")
    (port,), log = ports_for_later(1), folder / "turn.log"
    options = [f"--listening-port={port}", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--realm=tests"]
    options += ["--lt-cred-mech", f"--user={USER}:{PASSWORD}", "--no-tls", "--no-dtls", "--no-cli", "--verbose"]
    # The server listens on loopback here, to which coturn relays nothing unless it is allowed to.
    options += [
        "--allow-loopback-peers",
        "--log-file=stdout",
        f"--pidfile={folder / 'pid'}",
        f"--userdb={folder / 'db'}",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(["turnserver", "-n", *options], stdout=output, stderr=output, cwd=folder)
    try:
        wait_for(log.read_text, lambda text: "TCP listener opened" in text or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield Turn(port, log)
    finally:
        process.kill()
        process.wait(60)


@pytest.fixture(scope="module")
def relayed(start_server: Any, tiny: Path, tmp_path_factory: pytest.TempPathFactory, turn: Turn) -> Iterator[Any]:
    """A server whose page gets the TURN server; it contacts none itself."""
    with start_server(tmp_path_factory.mktemp("relayed"), tiny, "--rtc-ice-servers", turn.servers()) as running:
        running.wait_for_ready()
        yield running


async def speak(page: Any, protocol: str, **change: str) -> None:
    await page.evaluate(RELAY_ALONE, [protocol, change])
    await page.get_by_label("Real time (WebRTC)").check()
    await page.get_by_label("Text", exact=True).fill(TEXT)
    await page.get_by_role("button", name="Speak", exact=True).click()


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_speech_passes_a_turn_server_alone(relayed: Any, open_page: Any, protocol: str) -> None:
    page = (await open_page(relayed.url("/"))).page
    await speak(page, protocol)
    await expect(page.locator("mark")).to_have_text("And this is the second one.")
    figures = (await page.evaluate(FIGURES))[0]
    assert (figures["kind"], figures["relayed"]) == ("relay", protocol)
    assert figures["energy"] > 0, "no silence"
    await expect(page.get_by_role("button", name="Stop", exact=True)).to_be_disabled()
    await expect(page.get_by_text("over HTTP")).to_have_count(0)
    await page.goto("about:blank")
    relayed.wait_for_idle()


async def test_a_turn_server_that_refuses_the_page_leads_to_speech_over_http(relayed: Any, open_page: Any) -> None:
    page = (await open_page(relayed.url("/"))).page
    await speak(page, "udp", credential="wrong")
    await expect(page.get_by_text("over HTTP")).to_be_visible()
    assert await page.evaluate(FIGURES) == []
    await page.goto("about:blank")
