"""A real local Kubernetes for tests and the demo, built from published packages.

Start at cluster/control_plane.py (API server and etcd) or cluster/whole.py (with nodes); the command line is cli.py.
The keeper process imports this package too, so nothing heavy is imported here.
"""
