"""From settings and data to a trained net: batches, optimizers, checkpoints, progress."""
