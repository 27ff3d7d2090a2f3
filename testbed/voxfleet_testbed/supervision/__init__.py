"""The processes of a run, and everything they leave on the machine: started together, removed together."""
