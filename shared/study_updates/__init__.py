"""Updates of what is stored: new versions of all instances of a study, made of the files that are there (UPD, MRG)."""
