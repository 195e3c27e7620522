"""The listeners that start functions which are not called over HTTP."""
