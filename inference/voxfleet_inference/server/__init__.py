"""The HTTP side: the speech API, health, metrics and what gateways ask. It never imports torch."""
