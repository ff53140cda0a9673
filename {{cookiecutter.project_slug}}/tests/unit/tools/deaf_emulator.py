"""A process that starts like the emulator's, and does not end when it should."""

import sys
import time

if __name__ == "__main__":
    sys.stdout.write("deaf\n")
    sys.stdout.flush()
    time.sleep(60)
