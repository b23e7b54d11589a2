"""Faster ways to compute the same numbers; each says why its bits are the same in exact arithmetic."""
