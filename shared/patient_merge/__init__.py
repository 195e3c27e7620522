"""Patient merge and study move (data-safety §8): studies get the attributes of another patient."""
