"""The registry of a store: shape and identity, schemas, data partitions, and work that is due (storage §2, §8)."""
