"""Processes and their traces: started together, gone together."""
