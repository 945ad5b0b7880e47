"""The command line of the scoreboard: ``python -m lessons_lib.scoreboard``."""

import sys

from lessons_lib.scoreboard.claims import main

if __name__ == "__main__":
    sys.exit(main())
