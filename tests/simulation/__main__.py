"""`python -m tests.simulation --seeds N --start S --jobs 2`."""

from __future__ import annotations

import sys

from tests.simulation.run import main

if __name__ == "__main__":
    sys.exit(main())
