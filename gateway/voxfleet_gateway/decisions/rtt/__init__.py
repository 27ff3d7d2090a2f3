"""Round trips between client networks and regions: learned from measurements, assumed from distance. Pure."""
