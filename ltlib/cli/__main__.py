"""``python -m ltlib.cli``."""

import sys

from ltlib.cli import main

if __name__ == "__main__":
    sys.exit(main())
