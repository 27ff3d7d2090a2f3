"""The page speaks in Chromium: sound, marked sentences, a stop, an error, and exactly the samples that were sent."""

import base64
import json
from typing import Any

import pytest
from playwright.async_api import expect
from voxfleet_testbed.browser.speech_page import RECORD_MARKS, figure, wait_for_the_end

TEXT = "A first sentence stands here. And this is the second one."
PATIENCE_MILLISECONDS = 60_000
# A browser that blocks storage raises for the property itself; one whose storage is full, for each write.
WITHOUT_STORAGE = {
    "blocked": """
for (const name of ["localStorage", "sessionStorage", "indexedDB"]) {
  Object.defineProperty(window, name, {get() { throw new DOMException("denied", "SecurityError"); }});
}
""",
    "full": """
const full = () => { throw new DOMException("full", "QuotaExceededError"); };
Storage.prototype.setItem = full;
IDBObjectStore.prototype.put = full;
""",
}
# Keeps what the page receives, and what it gives to the loudspeaker. Without worklets, as on plain HTTP from another
# machine, the page fills blocks in its own thread, where a test can read each of them.
TAPPED = """
Object.defineProperty(BaseAudioContext.prototype, "audioWorklet", {value: undefined});
window.tap = {received: [], played: []};
const original = window.fetch;
window.fetch = async (...given) => {
  const response = await original(...given);
  if (String(given[0]).endsWith("/v1/audio/speech")) response.clone().text().then((text) => { tap.text = text; });
  return response;
};
const make = AudioContext.prototype.createScriptProcessor;
AudioContext.prototype.createScriptProcessor = function (...given) {
  const node = make.apply(this, given);
  const listen = (handler) => node.addEventListener("audioprocess", (event) => {
    handler(event);
    for (const sample of event.outputBuffer.getChannelData(0)) tap.played.push(Math.round(sample * 32768));
  });
  Object.defineProperty(node, "onaudioprocess", {set: listen});
  return node;
};
"""


async def speak(page: Any, text: str = TEXT) -> None:
    await page.get_by_label("Text", exact=True).fill(text)
    await page.get_by_role("button", name="Speak", exact=True).click()


async def test_speech_sounds_as_it_arrives_and_its_sentences_are_marked(server: Any, open_page: Any) -> None:
    # By an AudioWorklet: Chromium warns of what stands in for one, and `open_page` fails a test for a warning.
    opened = await open_page(server.url("/"))
    page = opened.page
    await page.evaluate(RECORD_MARKS)
    await speak(page)
    await wait_for_the_end(page)
    assert await page.evaluate("marked") == ["A first sentence stands here.", "And this is the second one."]
    first_audio, first_sound = await figure(page, "firstAudio"), await figure(page, "firstSound")
    assert 0 < first_audio <= first_sound < first_audio + 2500, "ten times the 250 ms that are allowed"
    assert await figure(page, "firstByte") <= first_audio
    assert await opened.accessibility_violations() == []


async def test_the_samples_that_are_played_are_those_that_were_sent(server: Any, open_page: Any) -> None:
    opened = await open_page(server.url("/"))
    await opened.page.add_init_script(TAPPED)
    await opened.page.reload()
    await speak(opened.page)
    await wait_for_the_end(opened.page)
    tap = await opened.page.evaluate("tap")
    events = [json.loads(line[6:]) for line in tap["text"].splitlines() if line.startswith("data: ")]
    received = b"".join(base64.b64decode(each["audio"]) for each in events if each["type"] == "speech.audio.delta")
    sent = memoryview(received).cast("h").tolist()
    assert len(sent) > 24_000
    # Underruns of a loaded machine are silence between the samples, and never change one.
    assert [each for each in tap["played"] if each] == [each for each in sent if each]
    opened.forgive("ScriptProcessorNode is deprecated")


async def test_escape_ends_the_speech_at_once_and_its_request_at_the_server(server: Any, open_page: Any) -> None:
    page = (await open_page(server.url("/"))).page
    await speak(page, TEXT * 20)
    await page.locator("[data-figure=firstSound]", has_text="ms").wait_for(timeout=PATIENCE_MILLISECONDS)
    assert server.load()["open_requests"] == 1
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Stop").and_(page.locator(":disabled")).wait_for()
    await expect(page.locator("mark")).to_have_count(0)
    server.wait_for_idle()
    await page.get_by_role("button", name="Play again").click()
    await page.get_by_role("button", name="Pause").click()
    await page.get_by_role("button", name="Continue").wait_for()


async def test_an_error_names_the_field_and_the_text_stays(server: Any, open_page: Any) -> None:
    opened = await open_page(server.url("/"))
    page, text = opened.page, "?!"
    await page.get_by_label("Text", exact=True).fill(text)
    await page.keyboard.press("Control+Enter")
    alert = page.get_by_role("alert")
    await alert.get_by_text("'input' must have a letter or a digit to speak; given '?!'").wait_for()
    await expect(alert.get_by_role("button", name="Try again")).to_be_visible()
    await expect(page.get_by_label("Text", exact=True)).to_have_value(text)
    assert await opened.accessibility_violations() == []
    opened.forgive("400")


async def test_a_voice_that_was_deleted_meanwhile_is_named_and_leaves_the_list(server: Any, open_page: Any) -> None:
    voice = server.http.post(server.url("/v1/audio/voices"), json={"name": "Short-lived", "seed": 7}).json()["id"]
    opened = await open_page(server.url("/"))
    page = opened.page
    await page.get_by_role("radio", name="Short-lived").check()
    assert server.http.delete(server.url(f"/v1/audio/voices/{voice}")).is_success
    await speak(page)
    await page.get_by_role("alert").get_by_text("The chosen voice is not there any more").wait_for()
    await page.get_by_role("radio", name="Short-lived").wait_for(state="detached")
    opened.forgive("400")


@pytest.mark.parametrize("state", WITHOUT_STORAGE)
async def test_a_browser_that_keeps_nothing_speaks_and_says_so(server: Any, open_page: Any, state: str) -> None:
    opened = await open_page(server.url("/"))
    page = opened.page
    await page.add_init_script(WITHOUT_STORAGE[state])
    await page.reload()
    await speak(page, "A sentence.")
    await wait_for_the_end(page)
    await page.get_by_text("This browser keeps no data for this page").wait_for()
    await expect(page.get_by_role("listitem").get_by_text("A sentence.")).to_have_count(1)
    opened.forgive("use-local-storage")  # the word of Mantine's hook about the same


async def test_a_text_file_is_opened_and_counted(server: Any, open_page: Any) -> None:
    page = (await open_page(server.url("/"))).page
    file = {"name": "speech.txt", "mimeType": "text/plain", "buffer": "今天\n天气很好。".encode()}
    await page.locator("input[type=file][accept*='.txt']").set_input_files(file)
    await expect(page.get_by_label("Text", exact=True)).to_have_value("今天\n天气很好。")
    await page.get_by_text("8 of 100,000 characters").wait_for()
