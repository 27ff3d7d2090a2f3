"""What is asked of the API server once it matters, because watching it would cost more: answers are remembered."""
