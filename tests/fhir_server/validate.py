"""Two validators of FHIR R4, run by `.cache/fhir/bin/python`: the JSON schema of FHIR, and models of fhir.resources.

    python validate.py fhir.schema.json < resources.ndjson      # prints the faults, one a line

The schema finds wrong codes of required bindings, unknown elements, empty texts; the models find ranges and choices.
"""

import json
import sys
from pathlib import Path

from fhir.resources.R4B import get_fhir_model_class
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for


def main() -> None:
    """Read resources, print faults."""
    schema = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    kind = validator_for(schema, default=Draft202012Validator)
    for line in sys.stdin:
        resource = json.loads(line)
        name = resource["resourceType"]
        validator = kind({"$ref": f"#/definitions/{name}", "definitions": schema["definitions"]})
        for error in validator.iter_errors(resource):
            print(f"schema {name}{error.json_path[1:]}: {error.message[:300]}")
        try:
            get_fhir_model_class(name).model_validate(resource)
        except ValueError as error:
            print(f"models {name}: {str(error)[:600]}")


main()
