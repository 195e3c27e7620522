"""What belongs to a study and is in none of its files: kept in a document beside them (DAT-53)."""
