"""The HTTP edge: our own messages, the adapter to Azure Functions, and what every request passes through."""
