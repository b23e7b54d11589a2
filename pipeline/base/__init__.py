"""What all other folders use: errors, files, hashes, text, signals, and functions with the same bits everywhere."""
