# A listener of Python's socket.create_server.
import signal
import socket

listener = socket.create_server(("", 3459))
client, _ = listener.accept()
signal.pause()
