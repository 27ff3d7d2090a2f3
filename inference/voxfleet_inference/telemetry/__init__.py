"""What the server tells about itself: load, metrics and logs."""
