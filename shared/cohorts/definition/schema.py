"""The JSON Schema of a definition: the shipped file, and how it is made.

`python -m shared.cohorts.definition.schema` writes the file anew.
"""

import json
from pathlib import Path
from typing import Any, Final

from shared.cohorts.definition.model import CohortDefinition

FILE: Final = Path(__file__).with_name("cohort-definition.schema.json")


def generated() -> dict[str, Any]:
    """The schema of the model."""
    schema = CohortDefinition.model_json_schema(by_alias=True, mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Cohort definition",
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(generated(), indent=2, ensure_ascii=False) + "\n", "utf-8")
