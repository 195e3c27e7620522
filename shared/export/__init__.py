"""Export: instances copied into a container of another account, as an operation (azure-apis §7)."""
