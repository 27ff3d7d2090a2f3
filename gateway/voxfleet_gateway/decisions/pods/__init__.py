"""One pod: its state, whether it is sent requests, and what its failures mean."""
