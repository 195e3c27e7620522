"""The FHIR server (R4) that holds the clinical data: requests, searches, transactions."""
