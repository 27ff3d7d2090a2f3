"""`make docs`: checks the links, copies the pages into .site/pages, and has Zensical build .site/html.

python scripts/site [--check] [--external] [--commands]

--check      check links and navigation only, build nothing
--external   also print the addresses outside of the repository; they are never requested
--commands   also print how many commands of the pages are tested, and how
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import yaml
from built_site import foreign_loads
from command_checks import summary_of
from markdown_files import ROOT, broken_links, external_links, pages_of_repository, with_linked_files
from navigation import pages_of, site_config

FOLDER: Final = ROOT / ".site"
ASSETS: Final = ("*.svg", "*.png", "*.webp", "*.css")


def main(arguments: list[str]) -> int:
    """Run what the flags ask for; return the exit status."""
    files = with_linked_files(pages_of_repository())
    pages = [path for path in files if path.suffix == ".md"]
    faults = [*broken_links(pages), *navigation_faults(pages)]
    if not faults and "--check" not in arguments:
        faults = build(files)
    print("\n".join(faults or [summary(pages)]), file=sys.stderr if faults else sys.stdout)
    if "--external" in arguments:
        print("\n".join(external_links(pages)))
    if "--commands" in arguments:
        print(summary_of(pages))
    return 1 if faults else 0


def navigation_faults(pages: list[Path]) -> list[str]:
    """Compare the pages with those of docs/site.yml."""
    listed = list(pages_of(site_config()["nav"]))
    names = {path.relative_to(ROOT).as_posix() for path in pages}
    return [
        *(f"{name} is in no section of docs/site.yml" for name in sorted(names - set(listed))),
        *(f"docs/site.yml names {name}, which is no page" for name in sorted(set(listed) - names)),
        *(f"docs/site.yml names {name} twice" for name in sorted({each for each in listed if listed.count(each) > 1})),
    ]


def build(files: list[Path]) -> list[str]:
    """Build the site; return what is wrong with it."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    assets = [path for pattern in ASSETS for path in (ROOT / "docs").rglob(pattern)]
    for path in {*files, *assets}:
        copy = FOLDER / "pages" / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    (FOLDER / "mkdocs.yml").write_text(yaml.safe_dump(site_config(), sort_keys=False), encoding="utf-8")
    zensical = [str(Path(sys.executable).with_name("zensical")), "build", "--strict", "--config-file", "mkdocs.yml"]
    done = subprocess.run(
        zensical, cwd=FOLDER, env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        return [f"{done.stdout}{done.stderr}".strip()]
    return list(foreign_loads(FOLDER / "html"))


def summary(pages: list[Path]) -> str:
    """Say what was found right."""
    built = FOLDER / "html/index.html"
    where = f" The site: {built.relative_to(ROOT)}" if built.is_file() else ""
    external = len(external_links(pages))
    return f"{len(pages)} pages, no broken link; {external} addresses outside of the repository (--external).{where}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
