"""The command `voxfleet-gateway dns`."""

import sys

import uvloop

from voxfleet_gateway.dns.serving import serve
from voxfleet_gateway.dns.settings import read_settings
from voxfleet_gateway.errors import GatewayError
from voxfleet_gateway.logs import configure_logs


def run(arguments: list[str]) -> int:
    """Serve until SIGTERM; return the exit code."""
    try:
        settings = read_settings(arguments)
        configure_logs(settings.log_level)
        uvloop.run(serve(settings))
    except (GatewayError, OSError) as error:
        sys.stderr.write(f"voxfleet-gateway dns: {error}\n")
        return 1
    return 0
