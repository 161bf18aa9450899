"""``python -m zsad``."""

import sys

from zsad.cli.command import main

if __name__ == "__main__":
    sys.exit(main())
