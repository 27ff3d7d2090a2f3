"""What is read from other processes again and again: the gateways' load, the progress of fetches."""
