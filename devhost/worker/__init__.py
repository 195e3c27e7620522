"""The Functions workers: the process with the runtime, the line to it, and the pool."""
