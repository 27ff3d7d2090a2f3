"""Where requests come from: connections, addresses, places, and the round trips to them."""
