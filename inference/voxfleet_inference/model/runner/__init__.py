"""Many sentences in one model at once: each has a seat that keeps its state, and any of them take a step together.

Read `speaker` first (the loop of one step), then `pools` (what a seat keeps) and `prompts` (what is read before).
"""
