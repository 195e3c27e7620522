"""An instance exists: commit, fold, delete, look-up and change sequence of the index (storage §3 to §7)."""
