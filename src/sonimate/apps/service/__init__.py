"""The HTTP service: `job_store` keeps jobs in a database, `job_crew` has them made, `http_api` answers."""
