"""Layers, nets, losses, gradients: arrays and nothing else."""
