"""Requests that this service makes to other servers: connections, tokens, and the meaning of their failures."""
