"""The operator's decisions: pure functions from the observed state and the time to what the operator does."""
