"""Audio outside the model: response formats, encoders, resampling, tempo, and decoding of recordings."""
