"""What the service says of itself: capabilities, conformance, health, and the answer to unknown paths (PS3.18 §8.9)."""
