"""exchange §5 Labels of studies."""
