"""`knownat serve`: the project over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from sdk.cli.invocation import Invocation, project_command


@project_command
def serve(
    call: Invocation,
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535)] = 8765,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="0.0.0.0 lets other machines in.")] = "127.0.0.1",
) -> int:
    """Serve the project over HTTP, until Ctrl-C. Its description is at /docs."""
    from registry.serve import serve as serve_project

    try:
        serve_project(call.folder, host=host, port=port)
    except KeyboardInterrupt:  # which is how serving ends, once the last answers are given
        return 0
    except SystemExit:  # the server has said why it can not start, such as a port that is in use
        return 1
    return 0
