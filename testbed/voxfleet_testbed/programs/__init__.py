"""The programs of a local cluster: which ones, how they are built, which packages they need."""
