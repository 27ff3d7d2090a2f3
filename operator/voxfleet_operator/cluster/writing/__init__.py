"""What changes a cluster: objects applied and deleted, templates replaced, actions carried out, pods drained."""
