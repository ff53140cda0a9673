"""What the task ``validate`` starts."""

import sys

from tools.validate.command import main

sys.exit(main())
