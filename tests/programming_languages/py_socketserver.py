# A listener of Python's socketserver.
import signal
import socketserver


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        signal.pause()


socketserver.TCPServer(("", 3459), Handler).serve_forever()
