"""`python -m voxfleet_testbed`."""

from voxfleet_testbed.cli import main

if __name__ == "__main__":
    main()
