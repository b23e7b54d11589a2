"""Many trainings on many processes: the trials of a sweep, on Dask."""
