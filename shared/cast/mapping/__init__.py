"""What a FHIR resource says of a study (dicomcast §4). Pure."""
