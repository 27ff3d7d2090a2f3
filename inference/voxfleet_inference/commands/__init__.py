"""The `voxfleet-inference` command line: one module per command, heavy imports inside the functions that run them."""
