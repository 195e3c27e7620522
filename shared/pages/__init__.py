"""The pages that people see in a browser: static files below `/ui/` that ask the public API alone (VIEW)."""
