"""Benchmarks of the hot paths over HTTP: `make bench`. See README.md."""
