"""The command line: `voxfleet-gateway [serve] [--flags]`, `... dns [--flags]`, `... replay FILE`, `... openapi`.

`--version` prints the version.
"""

import gc
import json
import sys

from voxfleet_gateway import __version__
from voxfleet_gateway.errors import GatewayError
from voxfleet_gateway.replay_command import run as run_replay


def main() -> None:
    """Run the command of the first argument; without one, serve."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["replay"]:
        sys.exit(run_replay(arguments[1:]))
    if arguments[:1] == ["dns"]:
        sys.exit(_serve_dns(arguments[1:]))
    if arguments[:1] == ["openapi"]:
        sys.exit(_print_openapi())
    if arguments == ["--version"]:
        sys.stdout.write(f"voxfleet-gateway {__version__}\n")
        return
    sys.exit(_serve(arguments[1:] if arguments[:1] == ["serve"] else arguments))


# Each command imports what it needs: the Kubernetes client alone takes a second, and the DNS engine uses it with the
# registry only.
def _serve(arguments: list[str]) -> int:
    gc.disable()  # importing makes 80,000 objects that stay: collections among them find nothing
    import uvloop  # noqa: PLC0415

    from voxfleet_gateway.logs import configure_logs  # noqa: PLC0415
    from voxfleet_gateway.serving import serve  # noqa: PLC0415
    from voxfleet_gateway.settings import read_settings  # noqa: PLC0415

    gc.freeze()  # later collections would look at all of them, for 50 ms in which no request moves
    gc.enable()
    try:
        settings = read_settings(arguments)
        configure_logs(settings.log_level)
        uvloop.run(serve(settings))
    except (GatewayError, OSError) as error:
        sys.stderr.write(f"voxfleet-gateway: {error}\n")
        return 1
    return 0


def _serve_dns(arguments: list[str]) -> int:
    from voxfleet_gateway.dns.command import run  # noqa: PLC0415

    return run(arguments)


def _print_openapi() -> int:
    """Print the OpenAPI document of the fleet page's API."""
    from voxfleet_gateway.server.fleet.contract import openapi_document  # noqa: PLC0415

    sys.stdout.write(json.dumps(openapi_document(), indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    main()
