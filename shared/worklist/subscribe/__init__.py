"""The subscription transactions of the worklist (PS3.18 §11.10 to §11.12)."""
