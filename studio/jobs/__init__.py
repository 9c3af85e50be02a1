"""Jobs: from an accepted request to a recorded outcome.

`accept` takes a request in, `run` is the one sequence every job follows, `worker` feeds it from the job table,
`records` says what an auditor will read about it.
"""
