"""Decoders of pixels, colour profiles and lookup tables in processes of their own, within limits of memory and time."""
