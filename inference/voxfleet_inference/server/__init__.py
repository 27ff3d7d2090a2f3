"""The HTTP process: speech API, health, metrics, and the internal port for gateways. It never imports torch."""
