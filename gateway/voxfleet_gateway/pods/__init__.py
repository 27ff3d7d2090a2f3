"""The state of all regions and pods, and the poller that keeps the pods' load reports fresh."""
