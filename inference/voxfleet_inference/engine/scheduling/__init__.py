"""The parts of the scheduler's decisions, all pure: seats, memory, playback, order, parking."""
