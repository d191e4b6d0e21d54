// A listener of Node.js.
require('node:net').createServer().listen(3459)
