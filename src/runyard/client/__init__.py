"""The client of both APIs, without a dependency on the service.

`core` makes requests, decides about retries and reads streams, without I/O. `sync` and
`asynchronous` send the requests with httpx2, which they import when a client is created.
"""
