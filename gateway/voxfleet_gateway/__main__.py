"""The command line: `voxfleet-gateway [serve] [--flags]` and `voxfleet-gateway replay FILE`."""

import sys
from pathlib import Path

import uvloop

from voxfleet_gateway.errors import GatewayError
from voxfleet_gateway.replay import replay
from voxfleet_gateway.serving import serve
from voxfleet_gateway.settings import read_settings
from voxfleet_gateway.telemetry import configure_logs

REPLAY_ARGUMENTS = 2  # the command and its file


def main() -> None:
    """Run the command of the first argument; without one, serve."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["replay"]:
        sys.exit(_replay(arguments))
    sys.exit(_serve(arguments[1:] if arguments[:1] == ["serve"] else arguments))


def _serve(arguments: list[str]) -> int:
    try:
        settings = read_settings(arguments)
        configure_logs(settings.log_level)
        uvloop.run(serve(settings))
    except (GatewayError, OSError) as error:
        sys.stderr.write(f"voxfleet-gateway: {error}\n")
        return 1
    return 0


def _replay(arguments: list[str]) -> int:
    """Print one line per record; return 1 when any is decided differently today."""
    if len(arguments) != REPLAY_ARGUMENTS:
        sys.stderr.write("usage: voxfleet-gateway replay FILE\n")
        return 2
    different = 0
    with Path(arguments[1]).open(encoding="utf-8") as lines:
        for result in replay(lines):
            different += not result.is_same
            decided = result.decided.decision
            outcome = "same" if result.is_same else "DIFFERENT"
            sys.stdout.write(f"{result.request_id} {outcome} {decided.route} {decided.region}\n")
    return 1 if different else 0


if __name__ == "__main__":
    main()
