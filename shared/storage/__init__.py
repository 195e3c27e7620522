"""The data stores behind small ports: blobs, tables, queues; and the keys and names used in them."""
