"""PS3.18 §11.7 Change Workitem State."""
