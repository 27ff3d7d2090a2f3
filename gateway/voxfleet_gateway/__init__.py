"""The always-on entry point of a region: holds, wakes, routes, streams; creates no pods and decodes no audio."""

from typing import Final

__version__: Final = "0.1.0"
