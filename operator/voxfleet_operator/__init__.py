"""The operator: turns each VoxTTSDeployment into regional objects, replicas, idle timers and a status."""

from typing import Final

__version__: Final = "0.1.0"
