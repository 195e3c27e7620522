"""`python -m scripts.bicep`: all checks of infra/, one line per problem."""

import sys
from pathlib import Path

from scripts.bicep import names, posture, properties
from scripts.bicep.syntax import BicepError
from scripts.bicep.variants import deployments


def problems(root: Path) -> list[str]:
    """Every problem of the Bicep files in a folder."""
    found = names.check(root)
    if found:
        return found
    try:
        rendered = deployments(root)
    except BicepError as error:
        return [str(error)]
    return [*properties.check(root, rendered), *posture.check(root, rendered)]


if __name__ == "__main__":
    found = problems(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parents[2] / "infra")
    print("\n".join(found) or "infra: no problems")
    sys.exit(bool(found))
