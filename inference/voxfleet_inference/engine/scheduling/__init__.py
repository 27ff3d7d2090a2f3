"""The scheduler: which sequences take the next step. Plain Python, no torch, no clock."""
