"""Builds pods: containers, nodes, volumes, weights. Pure; knows no workload around a pod."""
