"""The schema of the index: keys, attributes, the lists that hold their values (storage §2, §5, §6, §8). Pure."""
