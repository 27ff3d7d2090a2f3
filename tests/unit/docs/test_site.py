"""The docs site: links, navigation, pages that are made from models, and no other host."""

from __future__ import annotations

import html
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, Field

ROOT = Path(__file__).parents[3]
Site = dict[str, ModuleType]


def all_pages(site: Site) -> list[Path]:
    files = site["markdown_files"]
    return [path for path in files.with_linked_files(files.pages_of_repository()) if path.suffix == ".md"]


def test_no_link_is_broken(site: Site) -> None:
    assert site["markdown_files"].broken_links(all_pages(site)) == []


def test_every_page_is_in_the_navigation_once(site: Site) -> None:
    navigation = site["navigation"]
    listed = list(navigation.pages_of(navigation.site_config()["nav"]))
    assert sorted(listed) == sorted(path.relative_to(ROOT).as_posix() for path in all_pages(site)), "see docs/site.yml"


def test_parts_made_from_models_are_current(site: Site) -> None:
    assert list(site["made_parts"].stale_pages()) == [], "run `make reference`"


def test_a_part_is_made_anew_and_the_prose_around_it_stays(site: Site) -> None:
    page, begin = ROOT / "docs/reference/page.md", "<!-- made by make reference: x -->"
    text = f"# Page\n\n{begin}\nold\n<!-- end of x -->\n\nProse, docs/a.md\n"
    made = site["made_parts"].renewed(page, text, {"x": lambda: ["see docs/b-c.md", "", "", "", "(docs/d.md#e-f)"]})
    expected = "see [b c](../b-c.md)\n\n([e f](../d.md#e-f))"
    assert made == f"# Page\n\n{begin}\n\n{expected}\n\n<!-- end of x -->\n\nProse, docs/a.md\n"
    assert site["made_parts"].renewed(page, made, {"x": lambda: ["see docs/b-c.md", "", "(docs/d.md#e-f)"]}) == made


def test_a_part_that_is_on_no_page_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = site["made_parts"].PARTS
    monkeypatch.setattr(site["made_parts"], "PARTS", {**parts, "unplaced": list})
    with pytest.raises(SystemExit, match="on one page, once: unplaced"):
        site["made_parts"].stale_pages()


def test_a_setting_without_a_meaning_is_named(site: Site) -> None:
    del site  # only so that the package can be imported
    settings = importlib.import_module("reference.settings")

    class Part(BaseModel):
        keep_alive_seconds: float = Field(2.5, gt=0, le=10, description="How long | it is kept.")
        host: str = ""

    with pytest.raises(SystemExit, match="host has no description"):
        settings.settings_table(Part)
    Part.model_fields["host"].description = "Address."
    Part.model_rebuild(force=True)
    rows = settings.settings_table(Part)[2:]
    assert rows == [
        (
            "| `--keep-alive-seconds`<br>`VOXFLEET_KEEP_ALIVE_SECONDS` | number, above 0, at most 10<br>default `2.5` "
            "| How long \\| it is kept. |"
        ),
        "| `--host`<br>`VOXFLEET_HOST` | string | Address. |",
    ]


def test_every_field_of_the_resource_is_in_its_page() -> None:
    crd = yaml.safe_load((ROOT / "crds/voxfleet.dev_voxttsdeployments.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]

    def names(under: dict[str, Any]) -> set[str]:
        found = set(under.get("properties", {}))
        below = [*under.get("properties", {}).values(), under.get("items"), under.get("additionalProperties")]
        return found.union(*(names(each) for each in below if isinstance(each, dict)))

    page = (ROOT / "docs/reference/resource.md").read_text()
    assert {name for name in names(schema["properties"]["spec"]) if not re.search(rf"\b{name}`", page)} == set()


def test_every_example_is_in_the_index_and_the_drop_in_is_first() -> None:
    linked = re.findall(r"\]\(([\w./-]+)\)", (ROOT / "examples/README.md").read_text())
    files = {path for suffix in ("yaml", "py", "md", "ipynb") for path in (ROOT / "examples").rglob(f"*.{suffix}")}
    assert {path.relative_to(ROOT / "examples").as_posix() for path in files} - {"README.md"} <= {*linked}
    assert linked[0] == "drop-in.yaml"


def test_a_broken_link_is_found(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = site["markdown_files"]
    monkeypatch.setattr(files, "ROOT", tmp_path)
    page, other = tmp_path / "page.md", tmp_path / "other.md"
    other.write_text("# Other\n\n## A `b-c` d\n\n## Same\n\n## Same\n")
    page.write_text(
        "# Page\n[1](other.md) [2](other.md#a-b-c-d) [3](#page) [4](other.md#same_1) [5](https://x.example)\n"
        "[6](missing.md)\n[7](other.md#none)\n`[8](missing.md)`\n```\n[9](missing.md)\n```\n[10](/etc/hostname)\n"
    )
    found = [line.split(": ")[:2] for line in files.broken_links([page])]
    assert found == [["page.md:3", "missing.md"], ["page.md:4", "other.md#none"], ["page.md:9", "/etc/hostname"]]
    assert files.external_links([page]) == ["https://x.example"]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.html", '<script src="https://cdn.example/x.js"></script>', ["https://cdn.example/x.js"]),
        ("a.html", '<link rel="preconnect" href="//fonts.example">', ["//fonts.example"]),
        ("a.html", '<a href="https://elsewhere.example">read</a><link rel="canonical" href="https://me.example">', []),
        ("a.html", '<img src="pictures/a.png"><script>let a = "https://not.loaded"</script>', []),
        ("a.css", "@import 'https://fonts.example/a.css'; a {background: url(data:image/png;base64,x)}", ["https://fonts.example/a.css"]),
    ],
)  # fmt: skip
def test_what_is_loaded_from_another_host(
    site: Site, tmp_path: Path, name: str, text: str, expected: list[str]
) -> None:
    (tmp_path / name).write_text(text)
    assert [line.rpartition(" ")[2] for line in site["built_site"].foreign_loads(tmp_path)] == expected


@pytest.mark.timeout(120)
def test_the_site_builds_without_another_host() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/site")], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no broken link" in done.stdout
    assert "wake" in (ROOT / ".site/html/search.json").read_text()
    assert list(braces_that_are_lost(ROOT / ".site/pages", ROOT / ".site/html")) == []


def braces_that_are_lost(pages: Path, site: Path) -> Iterator[str]:
    """Yield what an extension of Markdown takes for its own: `{"id": ...}` at the end of a cell, as attributes."""
    for page in pages.rglob("*.md"):
        name = page.relative_to(pages)
        built = site / (name.with_name("index.html") if page.name == "README.md" else name.with_suffix(".html"))
        words = html.unescape(re.sub(r"<[^>]+>|\s+", "", built.read_text()))
        prose = re.sub(r"(```|~~~).*?\1", "", page.read_text(), flags=re.DOTALL)
        for braces in re.findall(r"\{[^{}\n]*\}", prose):
            if re.sub(r"\s+", "", braces.replace("\\|", "|")) not in words:
                yield f"{name}: {braces}"
