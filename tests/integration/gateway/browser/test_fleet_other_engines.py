"""The fleet page in Firefox and in WebKitGTK: its map, a wake as it goes on, the dark scheme, Chinese, a reload."""

from pathlib import Path
from typing import Any

from voxfleet_testbed.browser.windows import Engine, Window, window_in

# The countries that are drawn: with an area, and in another colour than what is behind them.
DRAWN = """const map = getComputedStyle(document.querySelector("svg[class*=map]"));
return [...document.querySelectorAll("path[class*=land]")].filter((country) =>
    country.getBoundingClientRect().width > 0 && getComputedStyle(country).fill !== map.backgroundColor).length;"""
SCHEME = "return document.documentElement.dataset.mantineColorScheme"
COUNTRIES = 170


async def test_a_region_is_woken_and_watched(
    stage: Any, new_pod: Any, start_gateway: Any, keys_folder: Path, operator_key: str, engine: Engine
) -> None:
    for region in ("eu-central", "us-east"):
        stage.put_lease(region)
    stage.put_model([stage.region("eu-central"), stage.region("us-east")])
    gateway = await start_gateway(VOXFLEET_KEYS_FOLDER=str(keys_folder))
    async with window_in(engine, gateway.url("/fleet"), "dark") as page:
        await page.type("//input[@type='password']", operator_key)
        await page.click(button("Use this key"))
        await page.see(row("eu-central", "Asleep"))
        await page.see("//*[local-name()='path'][contains(@class, 'land')]")  # of a file that is loaded after the page
        assert await page.evaluate(DRAWN) >= COUNTRIES
        await choose_on_the_map(page)
        await page.click(button("Wake"))
        await page.click(f"//*[@role='dialog']{button('Wake')}")
        await page.miss("//*[@role='dialog']")  # whose overlay would take the next click
        await gateway.until(lambda: stage.lease("eu-central")["spec"].get("renewTime"), "renewal")
        await page.see(row("eu-central", "Waking"))
        await page.see("//*[.='Wake under way']")
        stage.put_pods("eu-central", await new_pod(), ready=True)
        await page.see(row("eu-central", "Awake"))
        assert "renewTime" not in stage.lease("us-east")["spec"]
        await change_the_looks_and_reload(page)
        assert [each for each in await page.problems() if "401" not in each] == []  # before the key was typed


async def choose_on_the_map(page: Window) -> None:
    """By a click, and by the keyboard."""
    await page.click(f"{marker('us-east')}/*[local-name()='circle']")
    await page.see("//h2[.='narrator in us-east']")
    await page.press(marker("eu-central"), "Enter")
    await page.see("//h2[.='narrator in eu-central']")


async def change_the_looks_and_reload(page: Window) -> None:
    assert await page.evaluate(SCHEME) == "dark"
    assert await page.evaluate("return matchMedia('(prefers-reduced-motion: reduce)').matches")
    await page.click("//button[@aria-label='Use the light scheme']")
    await page.click("//label[.='中文']")
    await page.reload()
    await page.see(row("eu-central", "运行中"))  # with the key that this tab has kept
    assert await page.evaluate(SCHEME) == "light"


def button(name: str) -> str:
    """Return the XPath of a button."""
    return f"//button[normalize-space(.)='{name}']"


def row(region: str, phase: str) -> str:
    """Return the XPath of a row of the table."""
    return f"//tr[.//button[.='{region}']][.//span[.='{phase}']]"


def marker(region: str) -> str:
    """Return the XPath of a marker on the map."""
    return f"//*[@role='button'][starts-with(@aria-label, 'narrator {region}')]"
