"""What mends the index after failures, and erases what is no longer needed."""
