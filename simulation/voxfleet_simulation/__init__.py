"""VoxFleet's simulator: days of demand in several regions, decided by the product's own functions."""
