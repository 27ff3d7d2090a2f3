"""Models with random weights, for tests, demos and benchmarks."""
