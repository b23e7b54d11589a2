"""Numbers for people: metrics, plots and pages. Knows neither files of data nor nets."""

import os

os.environ["MPLBACKEND"] = "Agg"  # matplotlib cannot be imported under a backend that it does not know
