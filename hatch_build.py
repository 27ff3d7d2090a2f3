"""Refuses to build a wheel without the pages of web/, which its servers serve.

Knows: where scripts/web puts them. An editable installation may lack them: `make setup` builds them after it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGES = ("inference/voxfleet_inference/server/page/static", "gateway/voxfleet_gateway/server/static")


class RequirePages(BuildHookInterface[Any]):
    """Hatchling's hook."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  # hatchling's signature
        """Raise FileNotFoundError where a page is missing, unless the installation is editable."""
        missing = [folder for folder in PAGES if not (Path(self.root) / folder / "index.html").is_file()]
        if missing and version != "editable":
            raise FileNotFoundError(f"{missing[0]} holds no page: run scripts/web, which `make setup` runs, first")
