"""The fleet page's story: a region sleeps, is woken by its button, and is watched until it is awake."""

import re
from pathlib import Path
from typing import Any

from playwright.async_api import expect


async def test_wake_a_region_and_watch_it(
    stage: Any, new_pod: Any, start_gateway: Any, open_page: Any, keys_folder: Path, operator_key: str
) -> None:
    stage.put_lease("eu-central")
    stage.put_lease("us-east")
    stage.put_model([stage.region("eu-central"), stage.region("us-east")])
    gateway = await start_gateway(VOXFLEET_KEYS_FOLDER=str(keys_folder))
    page = (opened := await open_page(gateway.url("/fleet"))).page
    await page.get_by_label("API key", exact=True).fill(operator_key)
    await page.get_by_role("button", name="Use this key").click()
    row = page.get_by_role("row", name=re.compile("eu-central"))
    await expect(row).to_contain_text("Asleep")
    opened.forgive("401")  # before the key was typed
    await row.get_by_role("button").first.click()
    details = page.get_by_role("region", name=re.compile("in eu-central$"))
    await details.get_by_role("button", name="Wake", exact=True).click()
    await page.get_by_role("dialog").get_by_role("button", name="Wake", exact=True).click()
    await gateway.until(lambda: stage.lease("eu-central")["spec"].get("renewTime"), "renewal")
    await expect(row).to_contain_text("Waking")
    await expect(details).to_contain_text("Wake under way")
    assert await opened.accessibility_violations() == []
    pod = await new_pod(state="loading")
    stage.put_pods("eu-central", pod, ready=False)
    await gateway.until(lambda: pod.polls > 1, "polls")
    await expect(row).to_contain_text("Waking")
    pod.state = "ready"
    stage.put_pods("eu-central", pod, ready=True)
    await expect(row).to_contain_text("Awake")
    await expect(page.get_by_role("row", name=re.compile("us-east"))).to_contain_text("Asleep")
    assert "renewTime" not in stage.lease("us-east")["spec"]
