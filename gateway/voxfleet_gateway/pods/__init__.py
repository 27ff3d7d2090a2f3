"""What the gateway knows of inference pods: their own reports, and the requests it has sent them."""
