"""azure-apis §3 Extended query tags: attributes that an operator makes searchable."""
