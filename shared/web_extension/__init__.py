"""The HTTP server of the worker: the Functions host forwards every request to it (decision 0013).

`extension` is what the worker runtime finds; `server` listens, `connection` runs one connection, `reader` reads
requests, `writer` frames responses, `messages` are what goes in and out.
"""
