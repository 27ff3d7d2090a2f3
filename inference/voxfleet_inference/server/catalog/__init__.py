"""The routes that list what can be asked for: models and voices."""
