"""What every room may use: errors, files, hashes, text, signals, and arithmetic that is the same everywhere."""
