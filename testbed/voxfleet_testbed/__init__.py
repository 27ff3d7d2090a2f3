"""A real local Kubernetes for tests and the demo, built from published packages.

Start at cluster/control_plane.py (API server and etcd) or cluster/local_cluster.py (with nodes); cli.py is the command
line. The supervisor process imports this package too, so this file imports nothing: it must start in milliseconds.
"""
