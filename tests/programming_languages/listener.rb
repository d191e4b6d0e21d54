# A listener of Ruby.
require 'socket'
listener = TCPServer.new(3459)
client = listener.accept
sleep
