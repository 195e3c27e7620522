"""Store transaction, STOW-RS and PUT upsert (PS3.18 §10.5)."""
