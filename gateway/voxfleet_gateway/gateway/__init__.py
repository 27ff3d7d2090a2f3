"""A gateway as a whole: how its parts are built, run and stopped.

Knows every part. Does not know how any of them works, sockets, signals.
"""

from voxfleet_gateway.gateway.assembly import open_gateway
from voxfleet_gateway.gateway.gateway import Gateway

__all__ = ["Gateway", "open_gateway"]
