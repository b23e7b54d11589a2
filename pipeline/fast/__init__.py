"""Faster ways to the same numbers: rewrites of a net, and for each why its bits are the same in exact arithmetic."""
