"""A client of the REST API: requests, waiting for jobs, the steps from a dataset to a finished run."""
