# A listener of Python's socket.
import signal
import socket

listener = socket.socket()
listener.bind(("", 3459))
listener.listen()
client, _ = listener.accept()
signal.pause()
