"""Jobs: animations that worker processes make for batches, the service and the web page.

`job_options` has what a job is, `job_loop` what a worker process does, and `workers` its owner's side.
"""
