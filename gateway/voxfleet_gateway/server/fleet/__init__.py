"""The API of the fleet page: what this gateway knows of every region, as a snapshot and as a stream of changes."""
