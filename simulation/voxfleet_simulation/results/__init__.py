"""What runs of a scenario mean: statistics, comparisons, sweeps, goals, and how they are shown."""
