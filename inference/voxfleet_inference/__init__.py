"""The inference server: one GPU's (or CPU's) speech server for VoxCPM 1.5."""

from typing import Final

__version__: Final = "0.1.0"
