"""What is seen of the operator from outside: metrics, logs, and the ports of health and metrics."""

from voxfleet_operator.telemetry.metrics import Metrics
from voxfleet_operator.telemetry.ports import serve_health, serve_metrics, set_up_logging

__all__ = ["Metrics", "serve_health", "serve_metrics", "set_up_logging"]
