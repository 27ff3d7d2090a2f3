"""Models of random weights, for tests, trials and benchmarks."""
