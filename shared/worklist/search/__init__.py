"""PS3.18 §11.9 Search Transaction."""
