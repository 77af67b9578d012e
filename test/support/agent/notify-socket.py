"""Hears what services say to systemd on the socket that the argument names: sd_notify(3). Prints a line of JSON for each message:
{"text": TEXT, "listening": ["ADDRESS:PORT" of each listening socket that came with it]}; the first line is "ready".
"""
import json
import os
import socket
import sys

heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
heard.bind(sys.argv[1])
print("ready", flush=True)
while True:
    data, descriptors, _, _ = socket.recv_fds(heard, 8192, 16)
    listening = []
    for fd in descriptors:
        try:
            with socket.socket(fileno=fd) as held:
                if held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    listening.append("%s:%d" % held.getsockname()[:2])
        except OSError:
            os.close(fd)
    print(json.dumps({"text": data.decode(), "listening": listening}), flush=True)
