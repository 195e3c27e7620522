"""Pixels (PS3.5 §8, PS3.3 §C.7.6.3): decoding, encoding, transcoding and rendering."""
