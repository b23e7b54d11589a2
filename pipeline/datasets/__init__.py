"""Data sets: what they are and where (registry, fetch), their container (idx), what a net takes (arrays)."""
