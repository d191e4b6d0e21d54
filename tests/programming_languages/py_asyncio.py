# A listener of Python's asyncio.
import asyncio


async def connected(reader, writer):
    await asyncio.Event().wait()


async def main():
    server = await asyncio.start_server(connected, "0.0.0.0", 3459)
    await server.serve_forever()


asyncio.run(main())
