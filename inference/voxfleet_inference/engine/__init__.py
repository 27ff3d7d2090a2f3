"""The engine: which sequence runs when, and the loop that keeps one step in flight."""
