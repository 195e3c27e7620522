"""`make demo`: ten synthetic studies for a service that is empty, of nobody who lives."""
