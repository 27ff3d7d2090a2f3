"""Numbers in words, English and Chinese. Pure."""
