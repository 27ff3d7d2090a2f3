"""Which share of each client group's demand a region serves: groups, their demand, the linear program. Pure."""
