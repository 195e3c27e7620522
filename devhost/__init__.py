"""Runs the function app without Azure Functions Core Tools. Development and tests only; never deployed."""
