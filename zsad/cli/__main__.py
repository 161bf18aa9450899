"""``python -m zsad.cli``."""

import sys

from zsad.cli.command import main

sys.exit(main())
