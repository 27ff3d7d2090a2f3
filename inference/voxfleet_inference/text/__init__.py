"""Text before it reaches the model: sentences, normalization, Markdown. Pure, but for wetext's data files."""
