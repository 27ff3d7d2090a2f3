"""The demo: VoxFleet's story told on a real Kubernetes, and the steps that the end-to-end tests assert."""
