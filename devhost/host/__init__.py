"""The Functions host: HTTP front, routes, admin paths, and what starts functions."""
