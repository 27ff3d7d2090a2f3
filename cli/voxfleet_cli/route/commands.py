"""`voxfleet route explain`.

Knows: options, exit codes, what is printed. Does not know: why a region is chosen: the gateway words that.
"""

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from voxfleet_cli.cluster import Cluster
from voxfleet_cli.gateways import Gateways
from voxfleet_cli.options import (
    SYSTEM_NAMESPACE,
    ContextOption,
    KubeconfigOption,
    Output,
    OutputOption,
    SystemNamespaceOption,
)
from voxfleet_cli.printing import print_table

EXPLAIN_PATH = "/internal/explain"
REFUSED = 3  # exit code: the request would get an error

app = typer.Typer(no_args_is_help=True, help="Why a request goes to which region.")


@app.callback()
def route() -> None:
    """Why a request goes to which region."""


@app.command()
def explain(  # noqa: PLR0913, PLR0917  # an argument per option
    client: Annotated[str, typer.Option(help="The client's IP address.")],
    model: Annotated[str, typer.Option(help="What clients send as `model`: its name, or namespace/name.")],
    location: Annotated[str | None, typer.Option(help="Its latitude,longitude, where gateways don't know it.")] = None,
    country: Annotated[str | None, typer.Option(help="Its country, such as CN, where gateways don't know it.")] = None,
    region: Annotated[str, typer.Option(help="Ask a gateway of this region. Default: any.")] = "",
    gateway: Annotated[
        str, typer.Option(help="URL of a gateway's internal port; its key: VOXFLEET_INTERNAL_KEY.")
    ] = "",
    system_namespace: SystemNamespaceOption = SYSTEM_NAMESPACE,
    kubeconfig: KubeconfigOption = None,
    kube_context: ContextOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show where a client's request would be sent now, and why. Nothing is woken.

    Exit codes: 0 the request is served or held, 3 it is refused, 1 there is no answer.
    """
    query = {"client": client, "model": model, "location": location, "country": country}
    gateways = Gateways(Cluster(kubeconfig, kube_context), system_namespace, gateway, region)
    answer = gateways.get(EXPLAIN_PATH, {name: value for name, value in query.items() if value is not None})
    if output is Output.JSON:
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    else:
        _print(answer)
    raise typer.Exit(REFUSED if answer["action"] == "refuse" else 0)


def _print(answer: dict[str, Any]) -> None:
    words = answer["words"]
    target = {"serve": "served by", "hold": "held for"}.get(answer["action"])
    outcome = f"{target} {answer['region']}" if target else "refused"
    lines = [
        f"model    {answer['model']}",
        f"gateway  {answer['gateway']}" + (f" of {answer['gateway_region']}" if answer["gateway_region"] else ""),
        f"client   {answer['client']}: {words['client']}",
        f"outcome  {outcome} ({answer['route']}): {words['summary']}",
        *([f"wakes    {words['wakes']}"] if words["wakes"] else []),
    ]
    sys.stdout.write("\n".join(lines) + "\n\n")
    print_table(regions_table(words["regions"]), Console())


def regions_table(regions: list[dict[str, Any]]) -> Table:
    """Return the table of the regions, best score first; parts of the score that are 0 everywhere are left out."""
    parts = [name for name in (regions[0]["waits"] if regions else {}) if any(each["waits"][name] for each in regions)]
    headers = [name.replace("_", " ").upper() for name in parts]
    table = Table("", "REGION", "SCORE", "ROUND TRIP", *headers, "STATE", "VERDICT", box=None, pad_edge=False)
    for each in sorted(regions, key=_by_score):
        waits = (duration(each["waits"][name]) for name in parts)
        mark = "*" if each["is_chosen"] else ""
        score = duration(each["score_seconds"]) if each["score_seconds"] is not None else "-"
        cells = (mark, each["region"], score, duration(each["rtt_seconds"]), *waits)
        table.add_row(*cells, each["state"], each["verdict"])
    return table


def _by_score(region: dict[str, Any]) -> tuple[bool, float]:
    score = region["score_seconds"]
    return score is None, score or region["rtt_seconds"]


def duration(seconds: float) -> str:
    """Return a duration for people: milliseconds below a second."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"
