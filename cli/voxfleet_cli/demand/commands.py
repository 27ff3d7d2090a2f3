"""`voxfleet wake NAME` and `voxfleet sleep NAME`.

Knows: options, exit codes, what may be asked of which resource, what is printed. Does not know: what is written to a
Lease (lease.py), when a wait has ended (progress.py, waiting.py).
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, NoReturn

import typer

from voxfleet_cli.cluster import Body, Cluster
from voxfleet_cli.demand.lease import DemandLease, renewal_patch, sleep_patch
from voxfleet_cli.demand.progress import Outcome, falling_asleep, region_status, waking
from voxfleet_cli.demand.regions import DEMAND_NAMESPACE, DemandRegion, regions_of
from voxfleet_cli.demand.waiting import Asked, Ended, Judge, wait_for
from voxfleet_cli.errors import RefusedError
from voxfleet_cli.options import ContextOption, KubeconfigOption, NamespaceOption, Output, OutputOption
from voxfleet_cli.resources import read_resources

NOT_REACHED = 3  # exit code
WAKE_SECONDS, SLEEP_SECONDS = 900.0, 300.0

Check = Callable[[Mapping[str, Any], str], None]
Patch = Callable[[DemandLease, datetime], Body]

NameArgument = Annotated[str, typer.Argument(help="The VoxTTSDeployment.")]
RegionOption = Annotated[list[str] | None, typer.Option("--region", help="A region; repeatable. Default: all.")]
WaitOption = Annotated[bool, typer.Option("--wait", "-w", help="Wait for the end, and show how far it is.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=1, help="Seconds to wait at most.")]
DemandNamespaceOption = Annotated[str, typer.Option("--demand-namespace", help="The namespace of the demand Leases.")]


@dataclass(frozen=True, slots=True)
class Demand:
    """What a command asks of the regions of one resource; `are_named`: by --region."""

    cluster: Cluster
    resource: Mapping[str, Any]
    regions: list[DemandRegion]
    are_named: bool
    is_awaited: bool
    timeout_seconds: float
    output: Output

    def write(self, regions: list[DemandRegion], patch_of: Patch) -> list[Asked]:
        """Patch the Leases of regions."""
        return [Asked(each, each.write(patch_of)[1]) for each in regions]

    def finish(self, asked: list[Asked], others: list[Ended], requested: str, judge: Judge) -> NoReturn:
        """Wait if that is asked for, print what became of each region, and end with the exit code."""
        if self.is_awaited:
            ended, requested = wait_for(self.cluster, self.resource, asked, judge, self.timeout_seconds), ""
        else:
            ended = [Ended(each.region.name, Outcome.REQUESTED) for each in asked]
        _finish([*others, *ended], requested, self.output, self.resource)


def _command(run: Callable[[Demand], NoReturn], timeout_seconds: float) -> Callable[..., None]:
    """Return a command with the options that waking and sleeping have in common; its help is that of `run`."""

    def command(  # noqa: PLR0913  # an argument per option
        name: NameArgument,
        namespace: NamespaceOption = "",
        region: RegionOption = None,
        *,
        wait: WaitOption = False,
        timeout: TimeoutOption = timeout_seconds,
        demand_namespace: DemandNamespaceOption = DEMAND_NAMESPACE,
        kubeconfig: KubeconfigOption = None,
        kube_context: ContextOption = None,
        output: OutputOption = Output.TEXT,
    ) -> None:
        cluster = Cluster(kubeconfig, kube_context)
        (resource,) = read_resources(cluster, name, namespace, all_namespaces=False)
        chosen = regions_of(resource, region or [], cluster, demand_namespace)
        run(Demand(cluster, resource, chosen, bool(region), wait, timeout, output))

    command.__doc__ = run.__doc__
    return command


def _wake(demand: Demand) -> NoReturn:
    """Wake regions, as a request would, by renewing their demand Leases.

    Exit codes: 0 woken, or asked for without --wait, 3 a wake failed or was not over in time, 1 it could not be asked.
    """
    refused = refusals(demand, check_can_wake, Outcome.SUSPENDED)
    asked = demand.write([each for each in demand.regions if each.name not in refused], renewal_patch)
    demand.finish(asked, [*refused.values()], "asked to wake", lambda each, status: waking(status, each.asked_at))


def _sleep(demand: Demand) -> NoReturn:
    """Put regions to sleep now; open requests end first, and the next request wakes the region again.

    Exit codes: 0 asleep, or asked for without --wait, 3 a request kept it awake or it was not over in time, 1 it could
    not be asked.
    """
    refused = refusals(demand, check_can_sleep, Outcome.KEPT_AWAKE)
    at_rest = [each for each in demand.regions if is_at_rest(demand.resource, each.name)]
    left = [each for each in demand.regions if each not in at_rest and each.name not in refused]
    asked = demand.write(left, sleep_patch)
    rested = [Ended(each.name, Outcome.ASLEEP, phase=phase_of(demand.resource, each)) for each in at_rest]
    demand.finish(
        asked,
        [*rested, *refused.values()],
        "asked to sleep",
        lambda each, status: falling_asleep(status, each.region.lease()),
    )


wake = _command(_wake, WAKE_SECONDS)
sleep = _command(_sleep, SLEEP_SECONDS)


def refusals(demand: Demand, check: Check, outcome: Outcome) -> dict[str, Ended]:
    """Return the regions that a command can't be about, where others are left. Raises RefusedError otherwise."""
    found: dict[str, Ended] = {}
    for each in demand.regions:
        try:
            check(demand.resource, each.name)
        except RefusedError as error:
            if demand.are_named or len(demand.regions) == len(found) + 1:
                raise
            found[each.name] = Ended(each.name, outcome, phase=phase_of(demand.resource, each), text=str(error))
    return found


def phase_of(resource: Mapping[str, Any], region: DemandRegion) -> str:
    """Return a region's phase; empty before its first status."""
    return str(region_status(resource, region.name).get("phase", ""))


def is_at_rest(resource: Mapping[str, Any], region: str) -> bool:
    """Whether a region has nothing that could sleep."""
    return region_status(resource, region).get("phase") in {"Asleep", "Suspended"}


def check_can_wake(resource: Mapping[str, Any], region: str) -> None:
    """Raise RefusedError, with the way out, for a region that no demand wakes."""
    where, spec = _where(resource), _region_spec(resource, region)
    if resource["spec"].get("suspend") or spec.get("suspend"):
        path = "spec.suspend" if resource["spec"].get("suspend") else f"suspend of spec.regions[{region}]"
        raise RefusedError(f"region {region} can't wake: {path} is true; set it to false: kubectl edit vtts {where}")
    _check_not_paused(resource)


def check_can_sleep(resource: Mapping[str, Any], region: str) -> None:
    """Raise RefusedError, with the way out, for a region that never sleeps."""
    _check_not_paused(resource)
    general = (resource["spec"].get("autoscaling") or {}).get("minReplicas", 0)
    least = (_region_spec(resource, region).get("autoscaling") or {}).get("minReplicas", general)
    if least and not is_at_rest(resource, region):
        raise RefusedError(
            f"region {region} never sleeps: autoscaling.minReplicas is {least}; set it to 0 (kubectl edit vtts "
            f"{_where(resource)}), or suspend to true to stop serving"
        )


def _check_not_paused(resource: Mapping[str, Any]) -> None:
    if (resource["metadata"].get("annotations") or {}).get("voxfleet.dev/reconcile") == "paused":
        raise RefusedError(
            "the annotation voxfleet.dev/reconcile: paused stops the operator; remove it: "
            f"kubectl annotate vtts {_where(resource)} voxfleet.dev/reconcile-"
        )


def _where(resource: Mapping[str, Any]) -> str:
    return f"-n {resource['metadata']['namespace']} {resource['metadata']['name']}"


def _region_spec(resource: Mapping[str, Any], region: str) -> Mapping[str, Any]:
    return next(each for each in resource["spec"]["regions"] if each["name"] == region)


def _finish(ended: list[Ended], requested: str, output: Output, resource: Mapping[str, Any]) -> NoReturn:
    """Print what became of each region, and end with the exit code."""
    if output is Output.JSON:
        sys.stdout.write(json.dumps([each.as_json() for each in ended], indent=2) + "\n")
    else:
        sys.stdout.write("".join(each.line(requested) + "\n" for each in ended))
        if any(each.outcome is Outcome.REQUESTED for each in ended) and sys.stderr.isatty():
            sys.stderr.write(f"`voxfleet status --watch {_where(resource)}` shows how far it is\n")
    raise typer.Exit(0 if all(each.outcome.is_success for each in ended) else NOT_REACHED)
