"""DICOMcast from a shell: what its resources say, in text, and what to do as exit codes."""
