"""Carrying out the scheduler's plans: calls of the model, their noise, and what is done when memory runs out."""
