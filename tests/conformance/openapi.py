"""Validates /openapi.json, and compares the server with it by schemathesis, which sends allowed and forbidden
requests and checks every response. Usage: openapi.py ORIGIN TOKEN WEBHOOK_TOKEN FOLDER

A finding is a defect of the server or of the document. A fixed seed makes the findings reproducible.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from httpx2 import Client
from openapi_spec_validator import OpenAPIV31SpecValidator

SETTINGS = Path(__file__).with_name("schemathesis.toml").resolve()

USER = "components/schemas/User/properties"

# Defects for the document: a name, the path of the value, and its replacement (None removes it).
WRONG = [
    ("an attribute that is not described", f"{USER}/userName", None),
    ("an attribute of another type", f"{USER}/active", {"type": "string"}),
    ("a status that is not described", "paths/~Users/get/responses/400", None),
    ("another media type", "paths/~Users/get/responses/200/content", {"text/plain": {}}),
    ("a header that is not there", "paths/~Users/get/responses/200/headers/X-More", {"required": True, "schema": {}}),
]


def changed(document, path, value):
    """Returns the document with another value at this path, or without the value."""
    document = json.loads(json.dumps(document))
    *way, name = [step.replace("~", "/") for step in path.split("/")]
    place = document
    for step in way:
        place = place[step]
    if value is None:
        del place[name]
    else:
        place[name] = value
    return document


def main():
    origin, token, webhook_token, folder = sys.argv[1:]
    headers = {"Authorization": f"Bearer {token}"}
    with Client(headers=headers, timeout=60, trust_env=False) as http:
        document = http.get(f"{origin}/openapi.json").json()
    OpenAPIV31SpecValidator(document).validate()
    print("ok    /openapi.json is valid", flush=True)

    def schemathesis(name, document, *options, **streams):
        path = Path(folder, f"{name}.json").resolve()
        path.write_text(json.dumps(document))
        program = Path(sys.executable).with_name("schemathesis")
        command = [program, "--config-file", SETTINGS, "run", path, "--url", origin, "--seed", "1", "--no-color"]
        command += ["--generation-database", "none", *options]
        tokens = {"SCIM_TOKEN": token, "SCIM_WEBHOOK_TOKEN": webhook_token, "NO_PROXY": "127.0.0.1"}
        # Schemathesis leaves files in its working directory.
        return subprocess.run(command, cwd=folder, env={**os.environ, **tokens}, timeout=600, **streams).returncode

    failed = schemathesis("openapi", document, "--max-examples", "50") != 0
    # Defects in the document prove that schemathesis can find one.
    rows = [("nothing where nothing is wrong", document, 0)]
    rows += [(what, changed(document, path, value), 1) for what, path, value in WRONG]
    for what, document, expected in rows:
        options = ["--include-path", "/Users", "--include-method", "GET", "--phases", "examples,coverage"]
        # In such a short run the server may refuse every request, which schemathesis reports as a warning.
        options += ["--warnings", "off"]
        code = schemathesis("wrong", document, *options, stdout=subprocess.DEVNULL)
        print("ok   " if code == expected else "WRONG", "schemathesis finds", what)
        failed |= code != expected
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
