"""Command line of the operator: `run` (the default) reconciles, `crds` prints the CustomResourceDefinition.

Knows: the two commands. Does not know what they do.
"""

import argparse
import sys

from voxfleet_operator import __version__
from voxfleet_operator.resources import definition_yaml


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="voxfleet-operator",
        description="The operator: turns each VoxTTSDeployment into servers that sleep and wake.",
        epilog="Its settings are VOXFLEET_ variables, which the chart sets: docs/operator-settings.md.",
    )
    words = "run (default): reconcile until SIGTERM; crds: print the CustomResourceDefinition as YAML"
    parser.add_argument("command", nargs="?", choices=("run", "crds"), default="run", help=words)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    command = parser.parse_args(arguments).command
    if command == "crds":
        sys.stdout.write(definition_yaml())
        return 0
    from voxfleet_operator.process import run_operator  # noqa: PLC0415 - printing the CRD must not need kopf or a cluster client

    return run_operator()


if __name__ == "__main__":
    raise SystemExit(main())
