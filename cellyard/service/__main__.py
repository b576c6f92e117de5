"""``python -m cellyard.service``: be the engine."""

from __future__ import annotations

import sys

from cellyard.service.main import main

if __name__ == "__main__":
    sys.exit(main())
