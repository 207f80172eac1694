"""Where the template and the code have to say the same. Each check returns what is wrong, one line each."""

import json
import re
import tomllib
import xml.etree.ElementTree as xml

ACTION = "SetBatchJobToWaiting"
# Where the gateway's authorizer must not stand, and which function is behind it. Everything else is one route to batch.
OPEN = {
    "ANY /health": "BatchFunction",
    "ANY /ready": "BatchFunction",
    "OPTIONS /": "BatchFunction",
    "OPTIONS /{proxy+}": "BatchFunction",
    "POST /events/{}": "EventWebhookFunction",
    "OPTIONS /events/{}": "EventWebhookFunction",
}
# What each function reads is a constant of its configuration, and the level of its log.
CONFIGURATIONS = {"Batch": "EngineConfig", "JobState": "EngineConfig", "EventWebhook": "WebhookConfig", "Outbox": "OutboxConfig"}
# In a secret, or with a default that suits a deployment.
NOT_SET = {"AUTH_TOKEN", "AUTH_LEEWAY", "AUTH_JWKS_TTL"}
NO_RESOURCE = {"dynamodb:ListStreams"}
GATEWAY_SECONDS = 30


def of_type(template, kind):
    return {name: r["Properties"] | {"Condition": r.get("Condition")}
            for name, r in template["Resources"].items() if r["Type"] == kind}


def unnamed(path):
    """A path whose placeholders have no names."""
    return re.sub(r"\{[^}+]*\}", "{}", path)


def environment(template, workspace):
    """Each variable that is set is read, and each that is read is set."""
    code = (workspace / "shared/src/function/config.rs").read_text()
    everywhere = template["Globals"]["Function"]["Environment"]["Variables"]
    for function, configuration in CONFIGURATIONS.items():
        constant = re.search(rf"impl {configuration} \{{.*?const VARIABLES: [^=]*=\s*\[(.*?)\];", code, re.DOTALL)
        read = set(re.findall(r'"(\w+)"', constant[1])) | {"RUST_LOG"}
        own = template["Resources"][f"{function}Function"]["Properties"]["Environment"]["Variables"]
        yield from (f"{function}: {name} is set, and not read" for name in sorted({*everywhere, *own} - read))
        yield from (f"{function}: {name} is read, and not set" for name in sorted(read - {*everywhere, *own} - NOT_SET))


def routes(template, services):
    """The action leads to job-state, events to the webhook, everything else to batch: no route names a service's root."""
    integrations = {name: p["IntegrationUri"]["Fn::GetAtt"] for name, p in of_type(template, "AWS::ApiGatewayV2::Integration").items()}
    there = {}
    for name, route in of_type(template, "AWS::ApiGatewayV2::Route").items():
        integration = re.fullmatch(r"integrations/\$\{(\w+)\}", route["Target"]["Fn::Sub"])[1]
        function = integrations[integration]
        function = function.split(".")[0] if isinstance(function, str) else function[0]
        there[unnamed(route["RouteKey"])] = function
        closed = route.get("AuthorizationType", "NONE") != "NONE"
        if closed == (unnamed(route["RouteKey"]) in OPEN):
            yield f"{name}: the authorizer of the gateway stands {'before' if closed else 'not before'} it"
    expected = {**OPEN, "$default": "BatchFunction"}
    for folder in sorted(path.parent for path in services.glob("*/service.toml")):
        service = tomllib.loads((folder / "service.toml").read_text())
        if "jobs" in service:
            action = f"{namespace_of_action(folder / 'model.xml')}.{ACTION}"
            expected |= {f"POST {root}/{service['jobs']['set']}/{action}": "JobStateFunction" for root in service["roots"]}
    for key in sorted(expected.keys() | there.keys()):
        if expected.get(key) != there.get(key):
            yield f"{key} leads to {there.get(key, 'nothing')}, not to {expected.get(key, 'nothing')}"
    invoke = template["Resources"]["BatchPermission"]["Properties"]["SourceArn"]["Fn::Sub"]
    # The ARN of $default is <api>/<stage>/$default: a pattern with method and path would not match it.
    if not invoke.endswith("${Api}/*"):
        yield f"BatchPermission: {invoke} does not match the route $default"


def namespace_of_action(model):
    schemas = [e for e in xml.parse(model).iter() if e.tag.endswith("}Schema")]
    return next(s.get("Namespace") for s in schemas if any(e.tag.endswith("}Action") and e.get("Name") == ACTION for e in s))


def stream(template, services):
    """The filters of the stream name the sets of the service with jobs."""
    name = template["Parameters"]["JobService"]["Default"]
    service = tomllib.loads((services / name / "service.toml").read_text())
    events, requeues = service["events"], service["requeues"]

    def pattern(sets, **more):
        prefixes = [{"prefix": f"E|${{JobService}}||{s}"} for s in sets]
        return {"dynamodb": {"Keys": {"pk": {"S": prefixes}}, **more.pop("image", {})}, **more}

    expected = {
        "ChangesMapping": [pattern([service["jobs"]["set"], events["endpoints"]])],
        "SendingMapping": [
            pattern([events["deliveries"]], eventName=["INSERT"]),
            pattern([requeues["decisions"]], image={"NewImage": {"dp": {"S": [{"exists": True}]}}}),
        ],
    }
    for mapping, patterns in expected.items():
        properties = template["Resources"][mapping]["Properties"]
        filters = [json.loads(f["Pattern"]["Fn::Sub"]) for f in properties["FilterCriteria"]["Filters"]]
        if filters != patterns:
            yield f"{mapping}: its filters are {filters}, not {patterns}"
        if properties.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            yield f"{mapping}: failures of single records are not reported"


def permissions(template):
    """No statement allows everything of something, and each function may only write its own log."""
    for name, role in of_type(template, "AWS::IAM::Role").items():
        statements = [s["Fn::If"][1] if "Fn::If" in s else s for p in role["Policies"] for s in p["PolicyDocument"]["Statement"]]
        for statement in statements:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            if any("*" in action for action in actions) or actions != sorted(actions):
                yield f"{name} {statement['Sid']}: actions are named one by one, in their order"
            if statement["Resource"] == "*" and not set(actions) <= NO_RESOURCE:
                yield f"{name} {statement['Sid']}: allows its actions on everything"
        own = name.removesuffix("Role")
        log = next(s["Resource"] for s in statements if s["Sid"] == "Log")
        function = template["Resources"][f"{own}Function"]["Properties"]
        if log != {"Fn::GetAtt": [f"{own}Log", "Arn"]} or function["LoggingConfig"] != {"LogGroup": {"Ref": f"{own}Log"}}:
            yield f"{own}: its log is not the one it may write"
        if function["Role"] != {"Fn::GetAtt": [name, "Arn"]}:
            yield f"{own}: has another role"


def timeouts(template):
    """Functions behind the gateway end before it; the outbox has time for any target of a policy (30 seconds)."""
    for name in ("Batch", "JobState", "EventWebhook"):
        timeout = template["Parameters"][f"{name}Timeout"]
        if not timeout["Default"] <= timeout["MaxValue"] < GATEWAY_SECONDS:
            yield f"{name}: its timeout can be longer than the gateway's"
    if template["Parameters"]["OutboxTimeout"]["Default"] < 2 * 30 + 31:
        yield "Outbox: its timeout is too short for a target's"


def secrets(template, policy):
    """The policy that is deployed asks for the secrets that the stack makes."""
    parsed = tomllib.loads(policy.read_text())

    def asked(part):
        if isinstance(part, dict):
            return {part["env"]} if "env" in part else {name for value in part.values() for name in asked(value)}
        return {name for value in part for name in asked(value)} if isinstance(part, list) else set()

    made = template["Resources"]["SourcesSecret"]["Properties"]["GenerateSecretString"]["GenerateStringKey"]
    if asked(parsed["sources"]) != {made}:
        yield f"the policy's sources ask for {asked(parsed['sources'])}, and the stack makes {made}"
    if asked(parsed["targets"]):
        yield "the policy's targets ask for secrets, and the stack makes none"


def table(template, deployed, made):
    """Two tables as DynamoDB describes them: by the template, and by the code."""
    def shape(description):
        indexes = description.get("GlobalSecondaryIndexes", [])
        return {
            "keys": description["KeySchema"],
            "attributes": sorted(description["AttributeDefinitions"], key=lambda a: a["AttributeName"]),
            "indexes": {i["IndexName"]: (i["KeySchema"], i["Projection"]["ProjectionType"]) for i in indexes},
            "stream": description["StreamSpecification"]["StreamViewType"],
            "billing": description["BillingModeSummary"]["BillingMode"],
        }

    by_template, by_code = shape(deployed), shape(made["table"])
    yield from (f"{part} of the table: {by_template[part]}, and {by_code[part]} in the code"
                for part in by_code if by_template[part] != by_code[part])
    expiry = template["Resources"]["Table"]["Properties"]["TimeToLiveSpecification"]
    if expiry != {"AttributeName": made["expiry"]["AttributeName"], "Enabled": True}:
        yield f"time to live: {expiry}, and {made['expiry']} in the code"


def lines(log):
    """The log lines with metrics in what the emulator printed: lines of functions that write at once share a line there."""
    decoder = json.JSONDecoder()
    for start in re.finditer(r"\[[\w-]+\] (?=\{)", log):
        try:
            record, _ = decoder.raw_decode(log, start.end())
        except json.JSONDecodeError:
            continue
        if "_aws" in record:
            yield record


def metrics(template, stack, log):
    """The metrics of alarms and of the dashboard are among those that functions wrote, with their dimensions."""
    written = set()
    for record in lines(log):
        for group in record["_aws"]["CloudWatchMetrics"]:
            names = {m["Name"] for m in group["Metrics"] if isinstance(record[m["Name"]], (int, float))}
            written |= {(name, d[0], record[d[0]]) for name in names for d in group["Dimensions"] if len(d) == 1}
    wanted = {(a["MetricName"], d["Name"], f"${{{d['Value']['Ref']}}}")
              for a in of_type(template, "AWS::CloudWatch::Alarm").values() if a["Namespace"] == "Rebatch" for d in a["Dimensions"]}
    for widget in json.loads(template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])["widgets"]:
        before = []
        for row in widget["properties"]["metrics"]:
            # A dot stands for what is above it, three for all of that.
            row = [part for part in row if isinstance(part, str)]
            row = before[:-1] + (row[1:] or before[-1:]) if row[0] == "..." else row
            before = [before[i] if part == "." else part for i, part in enumerate(row)]
            wanted |= {tuple(before[1:])} if before[0] == "Rebatch" else set()
    functions = of_type(template, "AWS::Serverless::Function")
    for metric, dimension, reference in sorted(wanted):
        name = functions[reference[2:-1]]["FunctionName"]["Fn::Sub"].replace("${AWS::StackName}", stack)
        if (metric, dimension, name) not in written:
            yield f"{metric} of {dimension} {name} is looked at, and was not written"


def static(template, workspace):
    """What can be said without a deployment, by name."""
    services = workspace / "infra/services"
    return {
        "environment variables": list(environment(template, workspace)),
        "routes": list(routes(template, services)),
        "filters of the stream": list(stream(template, services)),
        "permissions": list(permissions(template)),
        "timeouts": list(timeouts(template)),
        "secrets": list(secrets(template, workspace / "infra/deploy/policy.toml")),
    }
