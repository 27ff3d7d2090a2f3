"""Speech: the sentences of one request through the engine, joined into one stream of audio and events."""
