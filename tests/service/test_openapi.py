"""The server asked whatever its own OpenAPI document allows, and what it forbids: it keeps to the document."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sdk import connect
from tests.server_process import server_process
from tests.small_project import SmallProject

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "allow_header_conformance",
    "unsupported_method",
)
EXAMPLES = 80


def test_no_request_that_the_document_leads_to_is_answered_otherwise(project: SmallProject, tmp_path: Path) -> None:
    with server_process(project.folder) as server:
        with connect(server.address) as client:
            client.register_model("basket", b"weights", no_dataset=True, no_dataset_reason="a test", file_name="m.bin")
            client.models.set_alias("basket", "champion", 1)
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.address}/openapi.json"),
                *("--seed", "1", "--max-examples", str(EXAMPLES), "--phases", "examples,coverage,fuzzing"),
                *("--checks", ",".join(CHECKS), "--suppress-health-check", "all", "--no-shrink", "--warnings", "off"),
                *("--request-timeout", "30", "--no-color"),
            ],
            cwd=tmp_path,
            env={
                **os.environ,
                "SCHEMATHESIS_HOOKS": "tests.schemathesis_hooks",
                "PYTHONPATH": str(Path(__file__).parents[2]),
            },
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        log = server.log

    assert ended.returncode == 0, f"{ended.stdout}{ended.stderr}{log}"
    assert "No issues found" in ended.stdout
    assert "Traceback" not in log
