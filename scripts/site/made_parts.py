"""`make reference`: writes the parts of pages that are made from the models, and says which pages are stale.

    python scripts/site/made_parts.py [--check]

Such a part is between two comments of its page, `made by make reference: NAME` and `end of NAME`; the prose around it
is written by hand. Models name a page as `docs/PAGE.md`, which `--help` can print; in a page it becomes a link.

Knows: which part is made by what, and where parts are in pages.
Does not know: any model.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from markdown_files import ROOT, pages_of_repository
from reference.chart_values import chart_values
from reference.commands import inference_commands, voxfleet_commands
from reference.conditions import condition_types, event_reasons, phases, problem_reasons, state_reasons
from reference.http import http_objects, http_operations, speech_request
from reference.indexes import alerts, decision_list
from reference.metrics import dns_metrics, gateway_metrics, inference_metrics, operator_metrics
from reference.resource import spec_fields, status_fields
from reference.sessions import client_messages, close_codes, server_messages, session_messages
from reference.settings import dns_settings, gateway_settings, inference_settings, operator_settings

PARTS: Final[Mapping[str, Callable[[], Iterable[str]]]] = {
    "alerts": alerts,
    "chart-values": chart_values,
    "condition-types": condition_types,
    "decisions": decision_list,
    "dns-metrics": dns_metrics,
    "dns-settings": dns_settings,
    "event-reasons": event_reasons,
    "gateway-metrics": gateway_metrics,
    "gateway-settings": gateway_settings,
    "http-objects": http_objects,
    "http-operations": http_operations,
    "inference-commands": inference_commands,
    "inference-metrics": inference_metrics,
    "inference-settings": inference_settings,
    "operator-metrics": operator_metrics,
    "operator-settings": operator_settings,
    "phases": phases,
    "problem-reasons": problem_reasons,
    "session-client-messages": client_messages,
    "session-close-codes": close_codes,
    "session-messages": session_messages,
    "session-server-messages": server_messages,
    "spec-fields": spec_fields,
    "speech-request": speech_request,
    "state-reasons": state_reasons,
    "status-fields": status_fields,
    "voxfleet-commands": voxfleet_commands,
}
_PART: Final = re.compile(
    r"(?P<begin><!-- made by make reference: (?P<name>[\w-]+) -->\n).*?(?P<end><!-- end of (?P=name) -->)", re.DOTALL
)
_LINK: Final = re.compile(r"(?<!\]\()(?<![\w/\[`])docs/([\w/-]+)\.md(#[\w-]+)?")


def stale_pages() -> dict[Path, str]:
    """Return the pages whose parts differ from what they are made from, with their new text.

    Raises:
        SystemExit: a part is on no page, on two, or of an unknown name.
    """
    pages = {path: path.read_text(encoding="utf-8") for path in pages_of_repository() if path.suffix == ".md"}
    _check_names(Counter(found["name"] for text in pages.values() for found in _PART.finditer(text)))
    made = {path: renewed(path, text, PARTS) for path, text in pages.items()}
    return {path: text for path, text in made.items() if text != pages[path]}


def _check_names(found: Counter[str]) -> None:
    wrong = {name for name in found.keys() | PARTS.keys() if name not in PARTS or found[name] != 1}
    if wrong:
        raise SystemExit(f"each part of scripts/site/made_parts.py is on one page, once: {', '.join(sorted(wrong))}")


def renewed(page: Path, text: str, parts: Mapping[str, Callable[[], Iterable[str]]]) -> str:
    """Return a page's text with its parts made anew."""

    def part(found: re.Match[str]) -> str:
        lines = re.sub(r"\n{3,}", "\n\n", "\n".join(parts[found["name"]]()))
        return f"{found['begin']}\n{linked(page, lines).strip()}\n\n{found['end']}"

    return _PART.sub(part, text)


def linked(page: Path, text: str) -> str:
    """Return a text with `docs/PAGE.md` as links from a page."""

    def link(found: re.Match[str]) -> str:
        target, anchor = ROOT / f"docs/{found[1]}.md", found[2] or ""
        name = (anchor.removeprefix("#") or Path(found[1]).name).replace("-", " ")
        return f"[{name}]({'' if target == page else os.path.relpath(target, page.parent)}{anchor})"

    return _LINK.sub(link, text)


def main(arguments: list[str]) -> int:
    """Write the stale pages, or only name them."""
    stale = stale_pages()
    for path, text in stale.items():
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
