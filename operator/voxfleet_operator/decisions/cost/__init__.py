"""What a resource's GPUs cost, and what sleeping and spot machines saved. Pure."""
