"""What a pod sends back: attempts, the relay of its bytes, event streams."""
