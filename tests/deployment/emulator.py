"""Runs the emulator of a rendered project, as its tasks do, until the standard input is closed.

Runs in the project's folder and environment: ``python emulator.py FOLDER``. The emulator's address is printed.
"""

import sys
from pathlib import Path

# The rendered project is the working directory.
sys.path.insert(0, str(Path.cwd()))
from tools.emulator import start_emulator
from tools.watchdog import Watchdog

if __name__ == "__main__":
    with Watchdog() as watchdog:
        print(start_emulator(watchdog, Path(sys.argv[1])), flush=True)
        sys.stdin.read()
