"""What the teacher has spoken, in files: recordings for the codec, latents for the language models."""
