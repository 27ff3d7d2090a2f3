"""How a response is sent: its audio format, and its bytes to clients that read slowly or disconnect."""
