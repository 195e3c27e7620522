"""What PS3.18 §8 says about every transaction: pure functions and values, no I/O."""
