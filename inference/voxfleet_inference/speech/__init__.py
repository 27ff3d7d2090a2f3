"""Speech: a text becomes sentences through the engine, one stream of audio and events."""
