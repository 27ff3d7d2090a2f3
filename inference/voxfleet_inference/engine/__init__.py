"""The engine: schedules sequences, and keeps one step in flight on the model. No torch here; worker/ has the model."""
