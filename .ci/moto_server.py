"""Runs moto on a free port of the loopback interface and writes its address to the file named on the command line."""

import os
import signal
import sys
import threading

from moto.server import ThreadedMotoServer


def main() -> None:
    """Serve until told to stop, or until the script that started this is gone."""
    place = sys.argv[1]
    parent = os.getppid()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    with open(place + ".new", "w", encoding="utf-8") as file:
        file.write(f"http://{host}:{port}")
    os.rename(place + ".new", place)

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    while not stop.wait(1) and os.getppid() == parent:
        pass
    server.stop()


if __name__ == "__main__":
    main()
