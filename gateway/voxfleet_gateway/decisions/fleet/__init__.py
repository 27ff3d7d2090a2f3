"""What is shown of the regions: phases, wakes under way, newest decisions. Pure."""
