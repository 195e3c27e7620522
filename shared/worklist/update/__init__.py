"""PS3.18 §11.6 Update Workitem."""
