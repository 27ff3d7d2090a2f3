"""The programs a local cluster is made of, and how they come to this machine."""
