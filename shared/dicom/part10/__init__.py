"""Part 10 files (PS3.10 §7, PS3.5 §7): reading, writing, and where bulk values and frames are in them."""
