"""Subscriptions to the worklist, and the event reports that subscribers get (PS3.18 §11.10 to §11.13)."""
