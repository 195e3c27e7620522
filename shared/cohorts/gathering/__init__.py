"""The records that the FHIR server has of the patients of a cohort, read so that nobody is lost (cohorts §8.3)."""
