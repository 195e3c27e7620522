"""Export of a cohort: the files of its studies, its manifest, tables and FHIR resources (cohorts §8.4, DEID-10)."""
