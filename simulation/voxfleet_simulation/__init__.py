"""VoxFleet's simulator: days of demand in several regions, decided by the operator's and the gateway's own functions."""
