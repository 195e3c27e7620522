"""The rules of PS3.18 §8 for every transaction: pure functions and values, no I/O."""
