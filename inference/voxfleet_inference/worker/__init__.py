"""The engine process: loads a checkpoint and runs the engine with PyTorch as its model backend."""
