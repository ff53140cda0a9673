"""Entry point of the task ``validate``."""

from tools.validate.command import main

raise SystemExit(main())
