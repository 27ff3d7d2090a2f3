"""What every test may ask for: the real control plane and the real two-region cluster, from the testbed."""

pytest_plugins = ["voxfleet_testbed.fixtures"]
