"""When each word of a sentence is spoken: its words, their expected lengths, and their places in the audio."""
