"""VoxCPM 1.5 in plain PyTorch, written for serving.

Read in this order: `decoding` (what goes in and comes out), `voxcpm` (the loop of one step), `network` (the parts),
`transformer` and `flow_matching` (the mathematics), `checkpoint` and `weights` (the files). Nothing here is imported
until it is asked for, so that `import voxfleet_inference` stays light.
"""
