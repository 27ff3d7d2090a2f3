"""Where an address is: what a location database says, and which address is the client's. Pure."""
