"""Deletion of studies, series and instances, and the clean-up that follows."""
