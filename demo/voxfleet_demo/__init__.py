"""The demo: a scenario run on a real Kubernetes; the end-to-end tests assert the same steps."""
