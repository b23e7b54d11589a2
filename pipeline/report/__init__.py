"""Numbers for people: metrics, plots and pages. Knows neither files of data nor nets."""
