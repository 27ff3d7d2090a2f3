"""The operator: turns each VoxTTSDeployment into regional objects, replicas, idle timers and a status."""
