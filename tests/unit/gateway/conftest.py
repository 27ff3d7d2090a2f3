"""Property tests measure properties, not the speed of a machine that others are using too."""

from hypothesis import settings

settings.register_profile("gateway", deadline=None)
settings.load_profile("gateway")
