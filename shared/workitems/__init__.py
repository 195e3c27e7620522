"""PS3.4 Annex CC Workitems: what they are and must have, their states, their rows, and the events of their writes."""
