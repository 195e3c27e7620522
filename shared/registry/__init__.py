"""The registry of a store, table `conf`: its shape and identity, schemas, data partitions (storage §2, §8)."""
