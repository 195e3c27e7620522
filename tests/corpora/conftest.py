"""Decoders that only these tests have; `scripts/setup-corpora` fetches them, and the files.

Other runs do not collect this folder (`norecursedirs`): `make corpora` names it.
"""

import importlib
import sys
import sysconfig

import pytest
from pydicom.pixels import get_decoder
from pydicom.pixels.decoders import pylibjpeg

from tests.conformance.conftest import v2  # noqa: F401 - a fixture
from tests.conftest import ROOT


@pytest.fixture(scope="session", autouse=True)
def _more_decoders():
    """Its decoders are among those of pydicom. The service, a process of its own, never sees it.

    The path comes behind all others: what the tests have already stays theirs.
    """
    sys.path.append(sysconfig.get_path("purelib", vars={"base": str(ROOT / ".cache/corpora/venv")}))
    importlib.reload(pylibjpeg)
    for syntax in pylibjpeg.DECODER_DEPENDENCIES:
        decoder = get_decoder(syntax)
        decoder.remove_plugin("pylibjpeg")
        decoder.add_plugin("pylibjpeg", (pylibjpeg.__name__, "_decode_frame"))
        assert "pylibjpeg" in decoder.available_plugins, "run these tests with `make corpora`"
