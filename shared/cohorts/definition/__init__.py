"""The structured definition of a cohort: its schema, its canonical form and its hash (cohorts §8.2). Pure."""
