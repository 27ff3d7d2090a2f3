"""Finding a pod for a request: decide, wake, hold, decide again."""
