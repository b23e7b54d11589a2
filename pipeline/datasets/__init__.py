"""Data sets: what they are and where (registry, fetch), their container (idx), and what a network wants (arrays)."""
