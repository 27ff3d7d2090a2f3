"""The page speaks through a TURN server alone, as where a network lets no UDP of the browser pass: coturn, locally."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import async_playwright, expect
from voxfleet_testbed.browser.chromium import executable
from voxfleet_testbed.browser.fixtures import page_opener
from voxfleet_testbed.network.addresses import ports_for_later
from voxfleet_testbed.network.certificates import Authority, Identity, make_authority

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),  # of the shared browser
    pytest.mark.skipif(shutil.which("turnserver") is None, reason="needs coturn: apt-get install coturn"),
]
TEXT = "A first sentence stands here. And this is the second one."
USER, PASSWORD = "ada", "a-password-for-tests"
# Before the page connects: every connection of the page may use relayed candidates alone, by that of its TURN servers
# which is reached over this protocol, and is kept for its figures.
RELAY_ALONE = """([scheme, protocol, change]) => {
  window.connections = [];
  const Direct = RTCPeerConnection;
  window.RTCPeerConnection = class extends Direct {
    constructor({ iceServers }) {
      const isUsed = ({ urls }) => String(urls).startsWith(`${scheme}:`) && String(urls).endsWith(protocol);
      const ofProtocol = iceServers.filter(isUsed);
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
    tls_port: int
    authority: Authority  # of its certificate

    def servers(self) -> str:
        """Return the server's setting that names it to the page."""
        urls = [f"turn:127.0.0.1:{self.port}?transport={protocol}" for protocol in ("udp", "tcp")]
        urls.append(f"turns:127.0.0.1:{self.tls_port}?transport=tcp")
        return json.dumps([{"urls": each, "username": USER, "credential": PASSWORD} for each in urls])


@pytest.fixture(scope="module")
def turn(tmp_path_factory: pytest.TempPathFactory, wait_for: Callable[..., Any]) -> Iterator[Turn]:
    folder = tmp_path_factory.mktemp("turn")
    (port, tls_port), log = ports_for_later(2), folder / "turn.log"
    now = dt.datetime.now(dt.UTC)
    authority = make_authority("the TURN server's", now)
    pair = authority.issue(Identity("turn", addresses=("127.0.0.1",)), now)
    (folder / "cert.pem").write_bytes(pair.certificate)
    (folder / "key.pem").write_bytes(pair.key)
    options = [f"--listening-port={port}", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--realm=tests"]
    options += [f"--tls-listening-port={tls_port}", f"--cert={folder / 'cert.pem'}", f"--pkey={folder / 'key.pem'}"]
    options += ["--lt-cred-mech", f"--user={USER}:{PASSWORD}", "--no-dtls", "--no-cli", "--verbose"]
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
        wait_for(log.read_text, lambda text: "UDP listener opened" in text or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield Turn(port, tls_port, authority)
    finally:
        process.kill()
        process.wait(60)


@pytest.fixture(scope="module")
def relayed(start_server: Any, tiny: Path, tmp_path_factory: pytest.TempPathFactory, turn: Turn) -> Iterator[Any]:
    """A server whose page gets the TURN server; it contacts none itself."""
    with start_server(tmp_path_factory.mktemp("relayed"), tiny, "--rtc-ice-servers", turn.servers()) as running:
        running.wait_for_ready()
        yield running


async def speak(page: Any, scheme: str, protocol: str, **change: str) -> None:
    await page.evaluate(RELAY_ALONE, [scheme, protocol, change])
    await page.get_by_label("Real time (WebRTC)").check()
    await page.get_by_label("Text", exact=True).fill(TEXT)
    await page.get_by_role("button", name="Speak", exact=True).click()


async def check_relayed(page: Any, protocol: str) -> None:
    """Check that the page plays speech which a TURN server relays, and that it reaches that server by this protocol."""
    await expect(page.locator("mark")).to_have_text("And this is the second one.")
    figures = (await page.evaluate(FIGURES))[0]
    assert (figures["kind"], figures["relayed"]) == ("relay", protocol)
    assert figures["energy"] > 0, "no silence"
    await expect(page.get_by_role("button", name="Stop", exact=True)).to_be_disabled()
    await expect(page.get_by_text("over HTTP")).to_have_count(0)
    await page.goto("about:blank")


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_speech_passes_a_turn_server_alone(relayed: Any, open_page: Any, protocol: str) -> None:
    page = (await open_page(relayed.url("/"))).page
    await speak(page, "turn", protocol)
    await check_relayed(page, protocol)
    relayed.wait_for_idle()


@pytest.mark.skipif(shutil.which("certutil") is None, reason="needs certutil: apt-get install libnss3-tools")
async def test_speech_passes_a_turn_server_by_tls(relayed: Any, turn: Turn, tmp_path: Path) -> None:
    trust(turn.authority, tmp_path)
    flags = ["--autoplay-policy=no-user-gesture-required"] + ["--no-sandbox"] * (os.geteuid() == 0)
    async with async_playwright() as playwright:
        environment: dict[str, str | float | bool] = {**os.environ, "HOME": str(tmp_path)}
        browser = await playwright.chromium.launch(executable_path=executable(), args=flags, env=environment)
        async with page_opener(browser) as open_one:
            page = (await open_one(relayed.url("/"))).page
            await speak(page, "turns", "tcp")
            await check_relayed(page, "tls")
        await browser.close()
    relayed.wait_for_idle()


def trust(authority: Authority, home: Path) -> None:
    """Let Chromium trust an authority, by the database of NSS in a home folder."""
    database, certificate = home / ".pki/nssdb", home / "authority.pem"
    database.mkdir(parents=True)
    certificate.write_bytes(authority.pem())
    place = ["-d", f"sql:{database}"]
    subprocess.run(["certutil", "-N", *place, "--empty-password"], check=True)
    subprocess.run(["certutil", "-A", *place, "-n", "turn", "-t", "C,,", "-i", str(certificate)], check=True)


@pytest.mark.parametrize(("scheme", "change"), [("turn", {"credential": "wrong"}), ("turns", {})])
async def test_a_turn_server_that_is_not_used_leads_to_speech_over_http(
    relayed: Any, open_page: Any, scheme: str, change: dict[str, str]
) -> None:
    """It refuses the page's credential, or its certificate is of an authority that the browser does not trust."""
    page = (await open_page(relayed.url("/"))).page
    await speak(page, scheme, "udp" if scheme == "turn" else "tcp", **change)
    await expect(page.get_by_text("over HTTP")).to_be_visible()
    assert await page.evaluate(FIGURES) == []
    await page.goto("about:blank")
