"""A local Event Grid: topics, subscriptions, delivery, and events of new blobs."""
