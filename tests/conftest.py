"""What every test may ask for: a real control plane, a real two-region cluster and a browser, from the testbed.

Property tests measure properties, not the speed of a machine that others are using too.
"""

from hypothesis import HealthCheck, settings

pytest_plugins = ["voxfleet_testbed.fixtures", "voxfleet_testbed.browser.fixtures"]

settings.register_profile("voxfleet", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("voxfleet")
