"""Lists and watches: of the operator's own kind, of the kinds it makes, and of those that a cluster may lack."""
