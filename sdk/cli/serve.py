"""`knownat serve`: the project over HTTP."""

from __future__ import annotations

import errno
import os
import socket
from typing import Annotated

import typer

from sdk.cli.errors import AddressUnusable
from sdk.cli.invocation import Invocation, project_command


@project_command
def serve(
    call: Invocation,
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535)] = 8765,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="0.0.0.0 lets other machines in.")] = "127.0.0.1",
    workers: Annotated[int, typer.Option(metavar="N", min=1, max=256, help="Processes that share the port.")] = 1,
) -> int:
    """Serve the project over HTTP, until Ctrl-C. Its description is at /openapi.json."""
    from registry.serve import serve as serve_project
    from registry.serve import serve_with_workers

    check_free(host, port)
    try:
        if workers > 1:
            return 0 if serve_with_workers(call.folder, workers, host=host, port=port) else 1
        if not serve_project(call.folder, host=host, port=port):
            os._exit(1)  # which does not wait for what can not be stopped
    except KeyboardInterrupt:  # it came before the server had begun
        return 0
    except SystemExit:  # the server has said why it can not start
        return 1
    return 0


def check_free(host: str, port: int) -> None:
    """Raises AddressUnusable. The server itself would say so in its own words, among others."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the server does: a port that was left a moment ago is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AddressUnusable(f"Port {port} is taken on {host}: choose another with --port") from error
        raise AddressUnusable(f"The server can not listen on {host}:{port}: {error.strerror or error}") from error
