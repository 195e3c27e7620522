"""Administration of the tables: creating them, looking into them. No request of a client comes here."""
