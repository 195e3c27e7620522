"""PS3.18 §11.4 Create Workitem."""
