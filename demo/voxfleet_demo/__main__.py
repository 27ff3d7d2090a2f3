"""`python -m voxfleet_demo up|down`, behind `make demo` and `make demo-down`.

Reads KUBECONFIG, IMAGES and MODEL_PATH once, starts the ground, installs VoxFleet, tells the story. Knows the order of
things; every step lives in a module of its own.
"""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from voxfleet_testbed.errors import TestbedError
from voxfleet_testbed.settings import Settings, read_settings

from voxfleet_demo.ground import end_demo, keep, start_local_ground, typed_programs
from voxfleet_demo.installation import CHECKOUT, Installation, InstallationError, Values
from voxfleet_demo.narration import Narrator, narrator
from voxfleet_demo.story import StoryError
from voxfleet_demo.telling import RESOURCE, Teller
from voxfleet_demo.users_cluster import forwarded_gateway, images_below

Door = Callable[[str], str]
app = typer.Typer(help="VoxFleet's demo.", no_args_is_help=True, add_completion=False)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user asked for in variables."""

    kubeconfig: Path | None
    images: str
    image_tag: str
    model_path: Path | None


def read_wishes(environment: Mapping[str, str]) -> Wishes:
    """Reads the variables of `make demo`.

    Raises:
        typer.BadParameter: a path that is not there, or a cluster of the user's without images for it.
    """
    kubeconfig, model_path = environment.get("KUBECONFIG"), environment.get("MODEL_PATH")
    wishes = Wishes(
        kubeconfig=Path(kubeconfig).resolve() if kubeconfig else None,
        images=environment.get("IMAGES", ""),
        image_tag=environment.get("IMAGE_TAG", "latest"),
        model_path=Path(model_path).resolve() if model_path else None,
    )
    if wishes.kubeconfig and not wishes.kubeconfig.is_file():
        raise typer.BadParameter(f"KUBECONFIG={kubeconfig} is no file")
    if wishes.kubeconfig and not wishes.images:
        raise typer.BadParameter(
            "with KUBECONFIG, set IMAGES to the prefix that your cluster pulls from: IMAGES=registry/team stands for"
            " registry/team/voxfleet-operator, -gateway and -inference (IMAGE_TAG, default latest)"
        )
    if wishes.model_path and not (wishes.model_path / "config.json").is_file():
        raise typer.BadParameter(f"MODEL_PATH={model_path} has no config.json; it should be a VoxCPM-1.5 checkpoint")
    return wishes


@app.command()
def up(
    folder: Annotated[Path, typer.Option(help="Where the WAV files go.")] = CHECKOUT / "demo",
) -> None:
    """Start a cluster (or use KUBECONFIG), install VoxFleet, tell the story, leave everything running."""
    started = time.monotonic()
    wishes, settings = read_wishes(os.environ), read_settings()
    with narrator() as voice, ExitStack() as stack:
        own = None if wishes.kubeconfig else stack.enter_context(_own_ground(settings, voice, wishes.model_path))
        installation, values = own or _users_ground(wishes, settings, voice)
        with voice.step("helm install"):
            installation.install(values)
        with voice.step("kubectl apply"):
            installation.apply_quickstart(source=f"file://{wishes.model_path}" if wishes.model_path else None)
        door = _door(stack, installation) if wishes.kubeconfig else installation.gateway_url
        Teller(voice, installation, door, folder, started).tell()
        voice.say(_farewell(installation, time.monotonic() - started, own=wishes.kubeconfig is None))


@app.command()
def down() -> None:
    """Remove every trace of the demo's own cluster: processes, mounts, interfaces, files."""
    removed = end_demo(read_settings())
    sys.stdout.write("the demo's cluster is gone\n" if removed else "no demo is running\n")


@contextmanager
def _own_ground(settings: Settings, voice: Narrator, weights: Path | None) -> Iterator[tuple[Installation, Values]]:
    """A testbed that is kept only if everything that stands on it succeeded."""
    end_demo(settings)
    ground = start_local_ground(settings, voice.report, weights=weights)
    try:
        yield ground.installation, ground.values
    except BaseException:
        voice.say(f"What the cluster said last:\n{ground.installation.last_words()}")
        ground.cluster.close()
        raise
    keep(ground)


def _users_ground(wishes: Wishes, settings: Settings, voice: Narrator) -> tuple[Installation, Values]:
    """The user's cluster; weights must lie at the same path on its nodes."""
    assert wishes.kubeconfig is not None  # noqa: S101 - the caller has looked
    paths = (str(wishes.model_path),) if wishes.model_path else ()
    installation = Installation(wishes.kubeconfig, typed_programs(settings, voice.report))
    return installation, Values(images_below(wishes.images, wishes.image_tag), (), paths)


def _door(stack: ExitStack, installation: Installation) -> Door:
    return lambda region: stack.enter_context(forwarded_gateway(installation, region))


def _farewell(installation: Installation, seconds: float, *, own: bool) -> str:
    """What to look at now, in words to type."""
    lines = [f"\nDone in {seconds:.0f} s. Look around:", f"  export KUBECONFIG={installation.kubeconfig}"]
    if own:
        kubectl = installation.programs.kubectl
        lines += [] if shutil.which("kubectl") else [f"  export PATH=$PATH:{kubectl.parent}"]
        lines += [f"  curl {installation.gateway_url()}/v1/models"]
    lines += ["  kubectl get vtts -o wide", f"  kubectl describe vtts {RESOURCE}", "  play demo/chinese.wav"]
    return "\n".join([*lines, *(["`make demo-down` removes the cluster and every trace of it."] if own else [])])


def main() -> None:
    """Runs the command; what can be expected to fail ends in one line."""
    try:
        app()
    except (TestbedError, InstallationError, StoryError) as error:
        sys.stderr.write(f"demo: {error}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
