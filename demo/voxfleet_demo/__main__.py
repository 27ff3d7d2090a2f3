"""`python -m voxfleet_demo up|down|spot|chaos`, behind `make demo`, `demo-down`, `demo-spot` and `chaos`.

Does: reads KUBECONFIG, IMAGES, IMAGE_TAG, MODEL_PATH and METRICS, starts or finds a cluster, installs VoxFleet, runs
the scenario. Knows: the order of these steps; each lives in a module of its own.
"""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from voxfleet_testbed.errors import TestbedError
from voxfleet_testbed.settings import Settings, read_settings

from voxfleet_demo.chaos.chaos_runner import CLIENTS, awake_resource
from voxfleet_demo.chaos.faults import FAULTS, Subject
from voxfleet_demo.chaos.outcomes import FaultKind, FaultResult
from voxfleet_demo.chaos.report import TABLE_WIDTH, as_lines, as_table
from voxfleet_demo.demo_runner import RESOURCE, STORY, DemoRunner
from voxfleet_demo.environment import (
    LocalEnvironment,
    end_demo,
    find_or_build_tools,
    keep_running,
    start_local_environment,
)
from voxfleet_demo.installation import CHECKOUT, Installation, InstallationError, Values
from voxfleet_demo.metrics.measuring import start_measuring
from voxfleet_demo.output import DemoOutput, demo_output
from voxfleet_demo.scenario import ScenarioError
from voxfleet_demo.spot.environment import running_spot_environment
from voxfleet_demo.spot.operator_process import OperatorOptions
from voxfleet_demo.spot.spot_runner import SpotRunner
from voxfleet_demo.users_cluster import forwarded_gateway, images_below

app = typer.Typer(help="VoxFleet's demo.", no_args_is_help=True, add_completion=False)


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """The variables of `make demo`."""

    kubeconfig: Path | None  # KUBECONFIG: the user's cluster; None: start a local one
    images: str  # IMAGES: the registry prefix that the user's cluster pulls from
    image_tag: str
    model_path: Path | None  # MODEL_PATH: real weights; None: the demo voice
    has_metrics: bool  # METRICS: start Prometheus beside the local cluster, and print the story as figures


def read_options(variables: Mapping[str, str]) -> DemoOptions:
    """Read the variables of `make demo`.

    Raises:
        typer.BadParameter: a path does not exist, or KUBECONFIG is set without IMAGES or with METRICS.
    """
    kubeconfig, model_path = variables.get("KUBECONFIG"), variables.get("MODEL_PATH")
    options = DemoOptions(
        kubeconfig=Path(kubeconfig).resolve() if kubeconfig else None,
        images=variables.get("IMAGES", ""),
        image_tag=variables.get("IMAGE_TAG", "latest"),
        model_path=Path(model_path).resolve() if model_path else None,
        has_metrics=variables.get("METRICS", "") not in {"", "0"},
    )
    if options.kubeconfig and not options.kubeconfig.is_file():
        raise typer.BadParameter(f"KUBECONFIG={kubeconfig} is no file")
    if options.kubeconfig and not options.images:
        raise typer.BadParameter(
            "with KUBECONFIG, set IMAGES to the prefix that your cluster pulls from: IMAGES=registry/team stands for"
            " registry/team/voxfleet-operator, -gateway and -inference (IMAGE_TAG, default latest)"
        )
    if options.kubeconfig and options.has_metrics:
        raise typer.BadParameter(
            "METRICS starts Prometheus on this machine, which reaches the pods of a local cluster only: leave out"
            " KUBECONFIG, or have your cluster's Prometheus scrape VoxFleet (docs/monitoring.md)"
        )
    if options.model_path and not (options.model_path / "config.json").is_file():
        raise typer.BadParameter(f"MODEL_PATH={model_path} has no config.json; it should be a VoxCPM-1.5 checkpoint")
    return options


@app.command()
def up(
    folder: Annotated[Path, typer.Option(help="Where the WAV files go.")] = CHECKOUT / "demo",
) -> None:
    """Start a cluster (or use KUBECONFIG), install VoxFleet, run the scenario, leave everything running."""
    started = time.monotonic()
    options, settings = read_options(os.environ), read_settings()
    problems: list[str] = []
    with demo_output() as output, ExitStack() as stack:
        measuring = None
        if options.kubeconfig is None:
            local = stack.enter_context(_local_environment(settings, output, options.model_path))
            installation, values = local.installation, local.values
            measuring = start_measuring(local, settings, output) if options.has_metrics else None
        else:
            installation, values = _existing_environment(options.kubeconfig, options, settings, output)
        with output.step("helm install"):
            installation.install(values)
        with output.step("kubectl apply"):
            installation.apply_quickstart(source=f"file://{options.model_path}" if options.model_path else None)
        # Service addresses are routed from this machine only in a local cluster.
        url_of = _forwarded_urls(stack, installation) if options.kubeconfig else installation.gateway_url
        has_real_weights = options.model_path is not None
        DemoRunner(output, installation, url_of, folder, started, has_real_weights=has_real_weights).run()
        problems = measuring.print_figures(output) if measuring else []
        output.print(_next_steps(installation, time.monotonic() - started, is_local=options.kubeconfig is None))
    _exit_with(problems)  # after the block, which would remove the cluster


@app.command()
def spot() -> None:
    """Show spot nodes, fallback and reclaim with a real Karpenter on simulated nodes, and remove everything."""
    settings = read_settings()
    # Without this quiet time a story of minutes would never see spot again after its reclaim.
    operator_options = OperatorOptions(spot_quiet_seconds=5)
    with (
        demo_output() as output,
        running_spot_environment(
            settings, options=operator_options, boot_seconds=5, report=output.report
        ) as environment,
    ):
        SpotRunner(output, environment).run()


@app.command()
def chaos(
    fault: Annotated[list[str] | None, typer.Option(help="Only these faults; default: all.")] = None,
    clients: Annotated[int, typer.Option(min=1, help="Clients at a time, of both regions in turn.")] = CLIENTS,
    json: Annotated[Path | None, typer.Option(help="Also write the counts here.")] = None,
) -> None:
    """Prove on a fresh local cluster that no request is lost under faults; exit status 1 when one is."""
    kinds = select_faults(fault)
    with demo_output() as output:
        results = run_chaos(output, kinds, clients, json)
    Console(width=TABLE_WIDTH).print(as_table(results))
    if any(result.problems for result in results):
        raise typer.Exit(1)


@app.command()
def down() -> None:
    """Remove the demo's own cluster: processes, mounts, interfaces, files."""
    removed = end_demo(read_settings())
    sys.stdout.write("the demo's cluster is gone\n" if removed else "no demo is running\n")


def select_faults(names: list[str] | None) -> list[FaultKind]:
    """Return the faults of these names; all where there are none.

    Raises:
        typer.BadParameter: there is no such fault.
    """
    by_name = {kind.name: kind for kind in FAULTS}
    if unknown := [name for name in names or () if name not in by_name]:
        raise typer.BadParameter(f"--fault {unknown[0]}: expected one of {', '.join(by_name)}")
    return [by_name[name] for name in names or by_name]


def run_chaos(output: DemoOutput, kinds: Sequence[FaultKind], clients: int, json: Path | None) -> list[FaultResult]:
    """Run faults on a local cluster that is removed afterwards, and print what failed."""
    results = []
    environment = start_local_environment(read_settings(), output.report)
    subject = Subject(environment.installation, environment.cluster, environment.values)
    try:
        with output.step("helm install"):
            environment.installation.install(environment.values)
        with ExitStack() as stack:
            with output.step("wake both regions"):
                runner = stack.enter_context(awake_resource(subject, clients))
            for kind in kinds:
                with output.step(f"{kind.name}: {kind.title}"):
                    results.append(runner.run(kind))
                output.print(as_lines(results[-1]))
                if json is not None:  # after each: an interrupted run keeps its figures
                    json.write_text(dumps([result.as_json() for result in results], indent=1) + "\n")
    finally:
        environment.cluster.close()
    return results


@contextmanager
def _local_environment(settings: Settings, output: DemoOutput, weights: Path | None) -> Iterator[LocalEnvironment]:
    """Yield a fresh local cluster; it stays running if the block succeeds and is removed if it raises."""
    end_demo(settings)
    environment = start_local_environment(settings, output.report, weights=weights)
    try:
        yield environment
    except BaseException:
        output.print(f"Pods and newest events of the cluster:\n{environment.installation.diagnostics()}")
        environment.cluster.close()
        raise
    keep_running(environment)


def _existing_environment(
    kubeconfig: Path, options: DemoOptions, settings: Settings, output: DemoOutput
) -> tuple[Installation, Values]:
    """Return the user's cluster; the weights must exist at the same path on its nodes."""
    paths = (str(options.model_path),) if options.model_path else ()
    installation = Installation(kubeconfig, find_or_build_tools(settings, output.report))
    return installation, Values(images_below(options.images, options.image_tag), (), paths)


def _exit_with(problems: Sequence[str]) -> None:
    """Write each problem to standard error, and end with status 1 if there is one."""
    for problem in problems:
        sys.stderr.write(f"demo: {problem}\n")
    if problems:
        raise typer.Exit(1)


def _forwarded_urls(stack: ExitStack, installation: Installation) -> Callable[[str], str]:
    return lambda region: stack.enter_context(forwarded_gateway(installation, region))


def _next_steps(installation: Installation, seconds: float, *, is_local: bool) -> str:
    """Return the commands that a user can type after the demo."""
    story = " ".join(f"demo/story-{region}.wav" for region in STORY)
    lines = [f"\nDone in {seconds:.0f} s. Look around:", f"  export KUBECONFIG={installation.kubeconfig}"]
    if is_local:
        kubectl = installation.programs.kubectl
        lines += [] if shutil.which("kubectl") else [f"  export PATH=$PATH:{kubectl.parent}"]
        url = installation.gateway_url()
        lines += [f"  curl {url}/v1/models", f"  open {url}/ to speak, and {url}/fleet to watch the regions"]
    lines += [f"  {Path(sys.executable).parent}/voxfleet status --watch", f"  kubectl describe vtts {RESOURCE}"]
    lines += [f"  play {story}"]
    return "\n".join([*lines, *(["`make demo-down` removes the cluster and all its files."] if is_local else [])])


def main() -> None:
    """Run the command; an expected error is printed as one line with exit status 1."""
    try:
        app()
    except (TestbedError, InstallationError, ScenarioError) as error:
        sys.stderr.write(f"demo: {error}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
