"""Deploys template.yaml into an emulator on this machine, and shows that it does what it has to, with the real binaries."""

import argparse
import collections
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

import agreement
from checks import ACTION, DEFAULT, ORIGIN, Checks
from deployment import Stack, package, read, translate
from world import AUDIENCE, Client, World, until

WORKSPACE = Path(__file__).resolve().parents[2]
TEMPLATE = WORKSPACE / "infra/template.yaml"
REGION = "eu-central-1"
STACK = "rebatch"
ANOTHER = "/another/root"
BY_SCHEDULE = 5637999001
BY_STREAM = 5637999002
BY_ITSELF = 5637999003
ROOT = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(command, log, **environment):
    """A process that ends with what needs it, whatever happens, and all that it started with it."""
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **environment}, start_new_session=True
        )
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def emulator(folder):
    """ministack; it checks signatures and permissions, and runs the functions with the credentials of their roles."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    variables = {
        **ROOT, "AUTH": "true", "LAMBDA_EXECUTOR": "local", "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port),
        "AWS_ENDPOINT_URL": url, "MINISTACK_REGION": REGION, "IOT_MTLS_ENABLED": "0",
        "TMPDIR": str(folder), "STATE_DIR": str(folder / "state"),
    }
    log = folder / "emulator.log"
    with running([sys.executable, str(Path(__file__).with_name("emulator.py"))], log, **variables) as process:
        def ready():
            assert process.poll() is None, log.read_text()
            with contextlib.suppress(OSError):
                return urllib.request.urlopen(f"{url}/_ministack/health", timeout=2).status == 200

        until("the emulator is ready", ready, 60)
        yield url


def made_by_code(stack, rebatch, folder):
    """A table that the code makes, as DynamoDB describes it."""
    dynamodb = stack.client("dynamodb")
    serve(stack, rebatch, "made-by-code", folder)
    return {
        "table": dynamodb.describe_table(TableName="made-by-code")["Table"],
        "expiry": dynamodb.describe_time_to_live(TableName="made-by-code")["TimeToLiveDescription"],
    }


def serve(stack, rebatch, table, folder):
    """Starts a host on a table, which makes it where it is missing and loads the rows of the services; then ends it."""
    log = folder / f"{table}.log"
    command = [rebatch, "serve", "--listen", "127.0.0.1:0", "--endpoint", stack.endpoint, "--table", table,
               "--seed", "--services", str(WORKSPACE / "infra/services"), "--no-outbox"]
    with running(command, log, **ROOT) as process:
        def listens():
            assert process.poll() is None, log.read_text()
            return b"listening on" in log.read_bytes()

        until(f"{table} has its rows", listens, 60)


def configuration(**variables):
    subprocess.run([WORKSPACE / "infra/build.sh", "--configuration"], check=True, env={**os.environ, **variables})


def changed_configuration(folder):
    """The services and the policy with a change in each: a smaller page, a service more, and a rule that does not wait."""
    services = Path(shutil.copytree(WORKSPACE / "infra/services", folder / "services"))
    another = Path(shutil.copytree(services / "trippin", services / "another")) / "service.toml"
    another.write_text(another.read_text().replace('roots = ["/trippin"]', f'roots = ["{ANOTHER}"]'))
    trippin = services / "trippin/service.toml"
    trippin.write_text(re.sub(r"page_size = \d+", "page_size = 2", trippin.read_text()))
    policy = folder / "policy.toml"
    policy.write_text(re.sub(r"(?m)^backoff = .*\n", "", (WORKSPACE / "infra/deploy/policy.toml").read_text()))
    configuration(SERVICES=str(services), POLICY=str(policy))


def covered(template, checks):
    """Routes that no check took."""
    taken = {route for route, *_ in checks.table}
    routes = {p["RouteKey"] for p in agreement.of_type(template, "AWS::ApiGatewayV2::Route").values()}
    return sorted(routes - taken), sorted(taken - routes)


def allowed(log):
    """No function was denied anything, or failed."""
    faults = [line for line in log.splitlines() if "is not authorized to perform" in line or re.match(r"\[[\w-]+\] failed:", line)]
    assert not faults, "\n".join(faults)


def first_deployment(stack, checks, rebatch, folder, template):
    dynamodb = stack.client("dynamodb")
    table = stack.outputs()["TableName"]
    agree("table", list(agreement.table(template, dynamodb.describe_table(TableName=table)["Table"], made_by_code(stack, rebatch, folder))))
    serve(stack, rebatch, table, folder)
    secrets = stack.client("secretsmanager")
    checks.secret = json.loads(secrets.get_secret_value(SecretId=stack.outputs()["SourcesSecretArn"])["SecretString"])["FINANCE_OPERATIONS_SECRET"]

    step("requests through the gateway")
    checks.health()
    checks.roots()
    checks.tokens()
    checks.preflight()
    checks.leave_loop_open()
    checks.subscribe()
    checks.job(BY_SCHEDULE)
    checks.refused_events(BY_SCHEDULE)
    event = checks.event(BY_SCHEDULE, "a failed job, to be requeued by the schedule", 200)
    checks.awkward_keys()
    if checks.seeds:
        checks.journal_lines()
        checks.snapshot()
        checks.change_set()
        checks.action()
    checks.delivered(BY_SCHEDULE, 30)
    step("an event leads to a requeued job, by the schedule")
    checks.requeued(BY_SCHEDULE, event, 200)


def second_deployment(stack, checks, folder, parameters):
    step("deploy a changed service and a changed rule, without a Rust build")
    before = len(expect_page(checks, "/data/BatchJobHistory")["value"])
    changed_configuration(folder)
    stack.deploy(parameters)
    page = expect_page(checks, "/trippin/Airlines")
    assert len(page["value"]) == 2 and "@odata.nextLink" in page, page
    checks.send(checks.all, DEFAULT, "a service that is a folder more", "POST", f"{ANOTHER}/Airlines", 201, body={"AirlineCode": "XX", "Name": "X"})
    assert len(expect_page(checks, "/data/BatchJobHistory")["value"]) == before > 0, "the data are kept"

    step("an event leads to a requeued job, by the stream alone")
    stack.client("events").disable_rule(Name=stack.resources()["Schedule"])
    checks.job(BY_STREAM)
    event = checks.event(BY_STREAM, "a failed job, to be requeued by the stream, secret in ?code=", 200, headers={}, query=f"?code={checks.secret}")
    checks.requeued(BY_STREAM, event, 30)
    checks.delivered(BY_STREAM, 30)

    step("a job that fails is requeued without an event from outside")
    stack.deploy({**parameters, "OwnLoop": "true"})
    checks.job(BY_ITSELF)
    checks.requeued_by_itself(BY_ITSELF, 30)


def third_deployment(stack, checks, parameters):
    step("deploy with the authorizer of the gateway")
    stack.deploy({**parameters, "GatewayAuthorizer": "true"})
    answer = checks.send(checks.nobody, DEFAULT, "refused by the gateway", "GET", "/data/BatchJobs", 401)
    assert answer.json() == {"message": "Unauthorized"}, answer
    checks.health()
    checks.roots()
    checks.preflight()
    checks.event(BY_STREAM, "events need no token", 200)


def fourth_deployment(stack, checks):
    step("deploy with no parameters: a token that the stack makes")
    stack.deploy({})
    secret = stack.client("secretsmanager").get_secret_value(SecretId=stack.outputs()["ApiSecretArn"])["SecretString"]
    token = json.loads(secret)["AUTH_TOKEN"]
    route, path, waiting = DEFAULT, f"/data/BatchJobs({BY_STREAM})", {"batchJobId": BY_STREAM}
    checks.send(checks.nobody, route, "without the token of the stack", "GET", path, 401)
    checks.send(checks.all, route, "with the token of an issuer, which counts no more", "GET", path, 401)
    checks.send(checks.nobody.with_token(token), route, "with the token of the stack", "GET", path, 200)
    checks.send(checks.nobody.with_token(token), f"POST {ACTION}", "with the token of the stack", "POST", ACTION, 200, 400, 409, body=waiting)


def deletion(stack):
    step("delete")
    dynamodb, table = stack.client("dynamodb"), stack.outputs()["TableName"]
    try:
        dynamodb.delete_table(TableName=table)
        raise AssertionError("the table can be deleted")
    except ClientError as error:
        assert "rotect" in str(error), error
    stack.cloudformation.delete_stack(StackName=STACK)
    stack.cloudformation.get_waiter("stack_delete_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    assert not stack.client("lambda").list_functions()["Functions"], "the functions are gone"
    assert dynamodb.scan(TableName=table, Limit=1)["Count"] == 1, "the table and its rows are kept"


def expect_page(checks, path):
    answer = checks.all.send("GET", path)
    assert answer.status == 200, answer
    return answer.json()


def step(what):
    print(f"{time.monotonic() - BEGIN:6.1f} s  {what}", flush=True)


def agree(what, faults):
    if faults:
        raise AssertionError(f"{what}: template and code differ:\n  " + "\n  ".join(faults))
    print(f"          {what}: template and code agree", flush=True)


def show(checks):
    by_route = collections.defaultdict(list)
    for route, what, status, milliseconds in checks.table:
        by_route[route].append((what, status, milliseconds))
    print(f"\n{'route':62} {'check':58} status    ms")
    for route, done in sorted(by_route.items(), key=lambda item: item[0].split(" ", 1)[::-1]):
        for number, (what, status, milliseconds) in enumerate(done):
            print(f"{'' if number else route:62} {what:58} {status:6} {milliseconds:5}")
    print(f"\n{len(by_route)} routes, {len(checks.table)} checks")


def run(rebatch, folder, seeds):
    template = read(TEMPLATE)
    for what, faults in agreement.static(template, WORKSPACE).items():
        agree(what, faults)
    world = World()
    parameters = {
        "AuthMode": "jwt", "AuthIssuer": world.url, "AuthAudience": AUDIENCE, "AuthJwks": f"{world.url}/keys",
        "CorsOrigins": ORIGIN, "AllowPrivateTargets": "true",
    }
    configuration()
    with emulator(folder) as endpoint:
        stack = Stack(boto3.Session(*(ROOT[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")), region_name=REGION), STACK, TEMPLATE, endpoint)
        try:
            step("deploy")
            stack.deploy(parameters)
            checks = Checks(Client(f"{endpoint}/_aws/execute-api/{stack.outputs()['ApiId']}/$default"), world, seeds)
            first_deployment(stack, checks, rebatch, folder, template)
            second_deployment(stack, checks, folder, parameters)
            third_deployment(stack, checks, parameters)
            fourth_deployment(stack, checks)
            allowed((folder / "emulator.log").read_text())
            deletion(stack)
        finally:
            configuration()
    agree("metrics", list(agreement.metrics(template, STACK, (folder / "emulator.log").read_text())))
    missed, unknown = covered(template, checks)
    assert not missed and not unknown, f"routes without a check: {missed}; checks without a route: {unknown}"
    show(checks)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--rebatch", help="the local host, which makes a table and loads the rows of services")
    task.add_argument("--translate", type=Path, help="only write the template as CloudFormation sees it to this file")
    parser.add_argument("--seeds", type=Path, help="folder of the documents' batches; without it they are left out")
    arguments = parser.parse_args()
    if arguments.translate:
        template = package(TEMPLATE, lambda name, _: f"s3://artifacts/{name}")
        arguments.translate.write_text(json.dumps(translate(template, REGION), indent=1))
        return
    # Whoever ends this ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    with tempfile.TemporaryDirectory(prefix="rebatch-infra-") as folder:
        try:
            run(arguments.rebatch, Path(folder), arguments.seeds)
        except BaseException:
            for log in sorted(Path(folder).glob("*.log")):
                print(f"── {log.name} ──\n{log.read_text(errors='replace')[-60_000:]}", file=sys.stderr)
            raise
    step("done")


BEGIN = time.monotonic()
if __name__ == "__main__":
    main()
