"""From a request to a target: decide, wake, hold, decide again."""
