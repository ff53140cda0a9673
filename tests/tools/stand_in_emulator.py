"""Stand-in for the emulator: answers health checks, and starts a child process like that of a Lambda function."""

import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

FUNCTION = (sys.executable, "-c", "import time; time.sleep(60)")


class Health(BaseHTTPRequestHandler):
    """Answers every GET request."""

    def do_GET(self) -> None:  # pylint: disable=invalid-name # required by the base class
        """Return status 200."""
        self.send_response(200)
        self.end_headers()


if __name__ == "__main__":
    with (
        subprocess.Popen(FUNCTION) as function,
        HTTPServer((os.environ["BIND_HOST"], int(os.environ["GATEWAY_PORT"])), Health) as server,
    ):
        Path("function").write_text(str(function.pid), encoding="utf-8")
        server.serve_forever()
