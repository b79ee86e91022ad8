"""Serve this folder on loopback: serve.py [PORT]."""

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

port = int(sys.argv[1]) if len(sys.argv) > 1 else 8090
handler = partial(SimpleHTTPRequestHandler, directory=str(Path(__file__).parent))
ThreadingHTTPServer(("127.0.0.1", port), handler).serve_forever()
