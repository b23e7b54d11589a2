"""Numbers for people: metrics, plots and progress. Knows neither files of data nor nets."""
