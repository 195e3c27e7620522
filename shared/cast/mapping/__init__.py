"""FHIR resources, made of the data of a study (dicomcast §4). Pure."""
