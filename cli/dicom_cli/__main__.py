"""`python -m dicom_cli`."""

import sys

from dicom_cli.main import main

sys.exit(main())
