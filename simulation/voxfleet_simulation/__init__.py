"""Days of demand, simulated with the decisions of the operator and of the gateway."""
