"""How many replicas each capacity pool of a region has."""
