#!/usr/bin/env python3
"""Becomes the program that the plan names, with the descriptors that the plan lists, as systemd passes what it kept: sd_listen_fds(3).

The plan is in stored.json of the working directory: {"program": PATH, "notify": PATH, "descriptors": [{"name", "kind", "address", "port"}]}.
"""
import fcntl
import json
import os
import socket
import sys

with open("stored.json") as file:
    plan = json.load(file)


def opened(kind, address, port):
    if kind == "file":
        return os.open("stored.json", os.O_RDONLY)
    if kind == "pipe":
        return os.pipe()[0]
    if kind == "unix":
        held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        held.bind("\0stored-%d" % os.getpid())
        held.listen()
        return held.detach()
    held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind((address, port))
    if kind == "listening":
        held.listen(64)
    return held.detach()


# Out of the way first: what is opened may already be where another one is to be.
held = [fcntl.fcntl(opened(d["kind"], d["address"], d["port"]), fcntl.F_DUPFD_CLOEXEC, 100) for d in plan["descriptors"]]
for at, fd in enumerate(held):
    os.dup2(fd, 3 + at, inheritable=True)
environment = dict(os.environ, NOTIFY_SOCKET=plan["notify"])
if held:
    environment.update(
        LISTEN_PID=str(os.getpid()),
        LISTEN_FDS=str(len(held)),
        LISTEN_FDNAMES=":".join(d["name"] for d in plan["descriptors"]),
    )
os.execve(plan["program"], [plan["program"], *sys.argv[1:]], environment)
