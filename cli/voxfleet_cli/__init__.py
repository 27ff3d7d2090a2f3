"""`voxfleet`, the command line of a fleet's administrators; it holds no logic of the parts that serve."""
