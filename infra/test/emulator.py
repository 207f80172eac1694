"""Starts ministack, with what it lacks of AWS and a deployment needs. The template knows nothing of it.

Four bridges, each of which only changes what differs from AWS:

- A custom runtime sees its layers at /opt. Here the layers of a function are unpacked into a folder, and variables that
  begin with /opt/ lead there.
- An HTTP API without CORS settings hands OPTIONS to the route that matches. ministack answers each by itself.
- A generated secret has no punctuation where that is excluded.
- The log of each invocation goes to standard error: what a function wrote is shown when a check fails.
"""

import hashlib
import io
import pathlib
import string
import sys
import tempfile
import zipfile

from ministack import app
from ministack.services import apigateway, lambda_svc
from ministack.services.cloudformation import provisioners


def unpack_layers():
    environment = lambda_svc._provided_worker_env
    root = tempfile.mkdtemp(prefix="opt-")

    def unpacked(config):
        zips = [lambda_svc._resolve_layer_zip(layer) for layer in config.get("Layers") or []]
        digest = hashlib.sha256(b"".join(data for data in zips if data)).hexdigest()
        folder = f"{root}/{digest}"
        for data in zips if not pathlib.Path(folder).is_dir() else []:
            zipfile.ZipFile(io.BytesIO(data)).extractall(folder)
        return folder

    def with_layers(config, code_dir, port):
        variables = environment(config, code_dir, port)
        folder = unpacked(config)
        moved = {name: folder + value[len("/opt"):] for name, value in variables.items() if value.startswith("/opt/")}
        return {**variables, **moved}

    lambda_svc._provided_worker_env = with_layers


def route_options():
    execute = apigateway._handle_execute_in_scope
    match = apigateway._match_route
    invoke = apigateway._invoke_lambda_proxy

    # In lower case the method is none that ministack answers by itself; routes and functions see it as it was.
    async def execute_options(api_id, stage, path, method, *rest):
        own = (apigateway._apis.get(api_id) or {}).get("corsConfiguration")
        return await execute(api_id, stage, path, method if own or method != "OPTIONS" else "options", *rest)

    async def invoke_upper(integration, api_id, stage, path, method, *rest, **named):
        return await invoke(integration, api_id, stage, path, method.upper(), *rest, **named)

    apigateway._handle_execute_in_scope = execute_options
    apigateway._match_route = lambda api_id, method, path: match(api_id, method.upper(), path)
    apigateway._invoke_lambda_proxy = invoke_upper


def exclude_punctuation():
    generate = provisioners._sm_secret_string

    def generated(properties):
        wanted = properties.get("GenerateSecretString") or {}
        excluded = {"ExcludeCharacters": string.punctuation} if wanted.get("ExcludePunctuation") else {}
        return generate({**properties, "GenerateSecretString": {**wanted, **excluded}})

    provisioners._sm_secret_string = generated


def show_logs():
    execute = lambda_svc._execute_function_provided_warm

    def logged(func, event, request_id):
        result = execute(func, event, request_id)
        name = (func.get("config") or func).get("FunctionName")
        for line in (result.get("log") or "").splitlines():
            print(f"[{name}] {line}", file=sys.stderr, flush=True)
        if result.get("error"):
            print(f"[{name}] failed: {result.get('body')}", file=sys.stderr, flush=True)
        return result

    lambda_svc._execute_function_provided_warm = logged


if __name__ == "__main__":
    unpack_layers()
    route_options()
    exclude_punctuation()
    show_logs()
    app.main()
