"""The command line of the experiments: ``python -m lessons_lib.lab``."""

import sys

from lessons_lib.lab.run import main

if __name__ == "__main__":
    sys.exit(main())
