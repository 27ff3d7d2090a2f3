"""The training loop that all three networks share: seeded by step, saved atomically, resumed where it was."""
