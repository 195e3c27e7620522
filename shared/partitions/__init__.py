"""The list of data partitions."""
