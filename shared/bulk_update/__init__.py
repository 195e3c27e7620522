"""Bulk update (azure-apis §6): other values of attributes in all instances of studies."""
