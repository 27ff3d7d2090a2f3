"""Load, metrics, GPU readings and the log of speech requests."""
