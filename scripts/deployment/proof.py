"""Run by a bare interpreter on a package folder: starts the app, tries the codecs, prints what it found as JSON.

Its arguments are the folder and the codecs. Storage is at an address where nothing listens: that must not keep the app
from starting.
"""

import ast
import importlib
import json
import os
import sys
import time
import warnings
from pathlib import Path

ENVIRONMENT = {
    "DicomStorage": "DefaultEndpointsProtocol=http;AccountName=nobody;AccountKey=bm9ib2R5;"
    + ";".join(f"{kind}Endpoint=http://127.0.0.1:1/nobody" for kind in ("Blob", "Queue", "Table")),
    "AUTHENTICATION_AUTHORITY": "https://127.0.0.1:1/",
    "AUTHENTICATION_AUDIENCES": "nobody",
    "BULK_IMPORT_ENABLED": "true",
}
EITHER = "http/fastapi_extension.py"
"""One process takes one web extension; the app has taken its own."""


def imported(source: Path) -> set[str]:
    """Every module that the app imports somewhere, also those on first use."""
    names: set[str] = set()
    for path in set(source.rglob("*.py")) - {source / EITHER}:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {each.name for each in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
    return names


def main(folder: Path, codecs: list[str]) -> None:
    packages = folder / ".python_packages/lib/site-packages"
    sys.path[:0] = [str(folder), str(packages)]
    os.chdir(folder)
    os.environ.update(ENVIRONMENT)
    warnings.simplefilter("error")
    began = time.process_time()
    import function_app  # noqa: PLC0415 - found only now

    functions = function_app.app.get_functions()
    seconds = time.process_time() - began
    import imagecodecs  # noqa: PLC0415 - likewise
    import numpy as np  # noqa: PLC0415 - likewise

    samples = np.arange(64, dtype=np.uint8).reshape(8, 8)
    for codec in codecs:
        if codec == "dicomrle":  # of which there is no encoder
            imagecodecs.packbits_decode(b"\x00a")
            continue
        coded = getattr(imagecodecs, f"{codec}_encode")(samples)
        if getattr(imagecodecs, f"{codec}_decode")(coded).shape != samples.shape:
            raise SystemExit(f"the codec {codec} does not work")
    for name in imported(folder / "shared"):
        importlib.import_module(name)
    standard = Path(os.__file__).parent
    foreign = [
        file
        for module in list(sys.modules.values())
        if (file := getattr(module, "__file__", None))
        and not Path(file).is_relative_to(folder)
        and not Path(file).is_relative_to(standard)
        and file != __file__
    ]
    if foreign:
        raise SystemExit(f"imported from elsewhere: {foreign[:5]}")
    print(json.dumps({"functions": sorted(each.get_function_name() for each in functions), "seconds": seconds}))


main(Path(sys.argv[1]).resolve(), sys.argv[2:])
