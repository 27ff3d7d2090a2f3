"""VoxCPM 1.5 in plain PyTorch, written for serving.

Source: VoxCPM: Tokenizer-Free TTS for Context-Aware Speech Generation and True-to-Life Voice Cloning, 2025
(arXiv:2509.24650), and the reference package https://github.com/OpenBMB/VoxCPM, against which the tests compare.

Read in this order: `runner.decoding` (inputs and outputs), `runner.model_runner` (the order of a step), `network` (the
parts of a step), `transformer` and `flow_matching` (the mathematics), `checkpoint` and `weights` (the files), then
`cpu` and `cuda` (faster kernels for the same results). This package imports none of its modules, so that
`import voxfleet_inference` does not import torch.
"""
