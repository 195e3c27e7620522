"""The service as it describes itself: capabilities, conformance, health; the answer to unknown paths (PS3.18 §8.9)."""
