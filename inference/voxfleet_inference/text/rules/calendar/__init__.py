"""Rules for dates, times of day and years. Pure."""
