"""Long-running operations: what they are, where they are kept, what runs them, and the resource that shows them."""
