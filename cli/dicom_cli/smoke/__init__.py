"""`make smoke URL=…`: whether a deployed service works, in a minute; what each failure means, and where to look."""
