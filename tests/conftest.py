"""What every test may ask for: the real control plane and the real two-region cluster, from the testbed.

Property tests measure properties, not the speed of a machine that others are using too.
"""

from hypothesis import HealthCheck, settings

pytest_plugins = ["voxfleet_testbed.fixtures"]

settings.register_profile("voxfleet", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("voxfleet")
