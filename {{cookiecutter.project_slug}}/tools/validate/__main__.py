"""Entry point of the task ``validate``."""

import sys

from tools.validate.command import main

sys.exit(main())
