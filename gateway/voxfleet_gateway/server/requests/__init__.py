"""What a client sends: bounds of its body, checks of its fields."""
