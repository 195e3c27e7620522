"""Programs around the project."""
