"""Rules that write out what wetext reads wrongly, one module per kind: `ENGLISH` and `CHINESE` rules. Pure."""
