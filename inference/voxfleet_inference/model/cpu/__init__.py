"""What a CPU computes in another way: matrices rearranged for its instructions, once, when they are loaded."""
