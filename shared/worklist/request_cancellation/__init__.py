"""PS3.18 §11.8 Request Cancellation."""
