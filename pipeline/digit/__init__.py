"""Anyone's picture as the data set would show it. Knows no nets."""
