"""What a deployment has to do, through the gateway. Each check names the route it takes and asserts what comes of it."""

import json
import uuid
from urllib.parse import quote

from world import until

COMPANY = "9f161476-1d3d-eb11-bb72-000d3a2b9218"
JOURNAL = "f91409ba-1d3d-eb11-bb72-000d3a2b9218"
SALARIES = "ae4110b4-1d3d-eb11-bb72-000d3a2b9218"
LIABILITIES = "844110b4-1d3d-eb11-bb72-000d3a2b9218"
ITEM = "7ce0af2e-0963-460f-9b1f-0014aea3e117"
ACTION = "/data/BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting"
SOURCE = "/events/finance-operations"
OWN_LOOP = "/data/BusinessEventEndpoints(5e1f0000-0000-4000-8000-000000000001)"
# The route to batch of all that no other route takes.
DEFAULT = "$default"
ORIGIN = "https://app.example"
# Each makes some gateway or some parser stumble: decoded too often, cut off, taken for a separator or for a wildcard.
AWKWARD = ["a/b", "a#b", "a?b=c&d", "o'neil", "50%", "a%2Fb", "a b", "a+b", "a\\b", "größe-日本", "a..b", "a;b,c"]


def expect(answer, *statuses):
    assert answer.status in statuses, f"{answer}, not {' or '.join(map(str, statuses))}"
    return answer


class Checks:
    """The checks; `table` collects what was done: route, what was checked, status, milliseconds."""

    def __init__(self, gateway, world, seeds):
        self.world, self.seeds, self.table = world, seeds, []
        self.nobody = gateway
        self.all = gateway.with_token(world.token("data.read", "data.write", "jobs.requeue", "admin"))
        self.secret = None

    def send(self, client, route, what, method, path, *statuses, **rest):
        answer = client.send(method, path, **rest)
        self.table.append((route, what, answer.status, answer.milliseconds))
        try:
            return expect(answer, *statuses)
        except AssertionError as error:
            raise AssertionError(f"{what} ({method} {path}): {error}") from None

    def rows(self, job, entity_set):
        path = f"/data/{entity_set}?$filter=" + quote(f"BatchJobRecId eq {job}")
        return expect(self.all.send("GET", path), 200).json()["value"]

    # ── Alive ──

    def health(self):
        for path, what in (("/health", "alive"), ("/ready", "the table is reachable")):
            self.send(self.nobody, f"ANY {path}", f"{what}, without a token", "GET", path, 200)
            answer = self.send(self.nobody, f"ANY {path}", f"{what}, by HEAD", "HEAD", path, 200)
            assert answer.body == b"", answer

    # ── Roots ──

    def roots(self):
        for root in ("/data", "/api/v2.0", "/api/contoso/app/v1.0", "/api/data/v9.2", "/trippin"):
            self.send(self.all, DEFAULT, f"service document of {root}", "GET", root, 200)
            answer = self.send(self.all, DEFAULT, f"metadata of {root}", "GET", f"{root}/$metadata", 200)
            assert b"edmx:Edmx" in answer.body, answer
        self.send(self.all, DEFAULT, "no service", "GET", "/nothing/here", 404)

    # ── Who is let in ──

    def tokens(self):
        route, path = DEFAULT, "/data/BatchJobs(5637144576)"
        world = self.world
        refused = {
            "without a token": None,
            "signed by somebody else": world.token("data.read", key=world.stranger),
            "for another audience": world.token("data.read", aud="api://other"),
            "of another issuer": world.token("data.read", iss="https://other.example"),
            "expired": world.token("data.read", exp=1),
        }
        for what, token in refused.items():
            answer = self.send(self.nobody.with_token(token), route, what, "GET", path, 401)
            assert "bearer" in answer.headers.get("www-authenticate", "").lower(), answer.headers
        reader = self.nobody.with_token(world.token("data.read"))
        self.send(reader, route, "may read", "GET", path, 200)
        self.send(reader, route, "may not write", "PATCH", path, 403, body={"JobDescription": "x"})
        self.send(reader, f"POST {ACTION}", "may not requeue", "POST", ACTION, 403, body={"batchJobId": 5637144576})
        self.send(self.nobody, f"POST {ACTION}", "without a token", "POST", ACTION, 401, body={"batchJobId": 5637144576})

    def preflight(self):
        asks = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
        for route, path in (("OPTIONS /{proxy+}", "/data/$batch"), ("OPTIONS /{proxy+}", ACTION), ("OPTIONS /", "/")):
            answer = self.send(self.nobody, route, f"preflight of {path} by a known origin", "OPTIONS", path, 200, 204, headers=asks)
            assert answer.headers.get("access-control-allow-origin") == ORIGIN, answer.headers
        other = {**asks, "Origin": "https://other.example"}
        answer = self.nobody.send("OPTIONS", "/data/$batch", headers=other)
        assert answer.headers.get("access-control-allow-origin") in (None, ""), answer.headers

    # ── The batches of the documents ──

    def seed(self, name):
        return (self.seeds / name).read_bytes().decode()

    def journal_lines(self):
        body = self.seed("002-journal-lines.json")
        for name, value in {"companyId": COMPANY, "journalId": JOURNAL, "accountId2": LIABILITIES, "accountId": SALARIES}.items():
            body = body.replace("{{" + name + "}}", value)
        answer = self.send(self.all, DEFAULT, "journal lines of the document", "POST", "/api/v2.0/$batch", 200,
                           body=body, headers={"Content-Type": "application/json", "Accept": "application/json"})
        documented = json.loads(self.seed("002-response.json"))["responses"]
        answers = answer.json()["responses"]
        assert [a["status"] for a in answers] == [201, 201, 201], answer
        differ = {"id", "@odata.etag", "@odata.context", "lastModifiedDateTime"}
        for got, expected in zip(answers, documented, strict=True):
            assert {k: v for k, v in got["body"].items() if k not in differ} == \
                {k: v for k, v in expected["body"].items() if k not in differ}, (got, expected)

    def snapshot(self):
        before = expect(self.all.send("GET", f"/api/v2.0/items({ITEM})"), 200).json()["displayName"]
        answer = self.send(self.all, DEFAULT, "snapshot batch that fails", "POST", "/api/v2.0/$batch", 200,
                           body=self.seed("003-snapshot.json"),
                           headers={"Content-Type": "application/json", "Accept": "application/json", "Isolation": "snapshot"})
        assert answer.json()["responses"][-1]["status"] == 400, answer
        after = expect(self.all.send("GET", f"/api/v2.0/items({ITEM})"), 200).json()["displayName"]
        assert before == after, "nothing of it is applied"

    def change_set(self):
        tasks = "/api/data/v8.2/tasks?$count=true&$top=0"
        before = expect(self.all.send("GET", tasks), 200).json()["@odata.count"]
        body = self.seed("004-change-set.multipart").replace("{{org}}", "")
        answer = self.send(self.all, DEFAULT, "change set of the document", "POST", "/api/data/v8.2/$batch",
                           200, body=body, headers={"Content-Type": "multipart/mixed;boundary=batch_AAA123"})
        assert answer.body.count(b"HTTP/1.1 204") == 2 and answer.body.count(b"HTTP/1.1 200") == 1, answer
        after = expect(self.all.send("GET", tasks), 200).json()["@odata.count"]
        assert after == before + 2, (before, after)

    def action(self):
        body = json.loads(self.seed("000-set-to-waiting.json"))
        job = f"/data/BatchJobs({body['batchJobId']})"
        expect(self.all.send("PATCH", job, body={"Status": "Error"}), 200, 204)
        self.send(self.all, f"POST {ACTION}", "a failed job waits again", "POST", ACTION, 200, body=body)
        assert expect(self.all.send("GET", job), 200).json()["Status"] == "Waiting"
        self.send(self.all, f"POST {ACTION}", "one that waits is refused", "POST", ACTION, 400, 409, body=body)

    # ── Keys ──

    def awkward_keys(self):
        """Created, read, read in a batch, deleted. The gateway decodes paths, and sources differ on what it makes of %25:
        such keys go through $batch alone."""
        route = DEFAULT
        for number, key in enumerate(AWKWARD):
            name = f"{key}-{uuid.uuid4().hex[:8]}"
            person = {"UserName": name, "FirstName": "A", "LastName": str(number)}
            self.send(self.all, route, f"create {key}", "POST", "/trippin/People", 201, body=person)
            path = "People(" + quote(f"'{name.replace(chr(39), chr(39) * 2)}'", safe="'") + ")"
            if "%" not in key:
                answer = self.send(self.all, route, f"read {key}", "GET", f"/trippin/{path}", 200)
                assert answer.json()["UserName"] == name, answer
            steps = [{"id": str(n), "method": method, "url": path} for n, method in enumerate(("GET", "DELETE"))]
            answer = self.send(self.all, route, f"read and delete {key} in a batch", "POST", "/trippin/$batch", 200,
                               body={"requests": steps}, headers={"Accept": "application/json"})
            read, deleted = answer.json()["responses"]
            assert (read["status"], read["body"]["UserName"], deleted["status"]) == (200, name, 204), answer

    # ── From an event to a requeued job ──

    def job(self, number):
        """A job that has failed."""
        expect(self.all.send("POST", "/data/BatchJobs", {"BatchJobRecId": number, "JobDescription": "Import", "Status": "Waiting"}), 201)
        for status in ("Executing", "Error"):
            expect(self.all.send("PATCH", f"/data/BatchJobs({number})", {"Status": status}), 200, 204)

    def event(self, job, what, *statuses, headers=None, query=""):
        event = {
            "BusinessEventId": "BatchJobFailedBusinessEvent", "BusinessEventLegalEntity": "usmf", "ControlNumber": job,
            "EventId": str(uuid.uuid4()), "JobId": job, "JobDescription": "Import", "JobStatus": "Error",
        }
        headers = {"X-Key": self.secret} if headers is None else headers
        self.send(self.nobody, "POST /events/{source}", what, "POST", SOURCE + query, *statuses, body=event, headers=headers)
        return event["EventId"]

    def refused_events(self, job):
        self.event(job, "without the secret", 401, headers={})
        self.event(job, "with a wrong secret", 401, headers={"X-Key": "x" * 43})
        self.send(self.nobody, "POST /events/{source}", "of an unknown source", "POST", "/events/nobody", 401, 404, body={})
        self.send(self.nobody, "OPTIONS /events/{source}", "handshake without the secret", "OPTIONS", SOURCE, 401)
        assert self.rows(job, "RequeueDecisions") == []

    def requeued(self, job, event, seconds):
        """Waits until the job waits again, and looks at what was written down."""
        def waits():
            return expect(self.all.send("GET", f"/data/BatchJobs({job})"), 200).json()["Status"] == "Waiting"

        until(f"job {job} waits again: {self.rows(job, 'RequeueDecisions')}", waits, seconds)

        def written():
            decision = [r for r in self.rows(job, "RequeueDecisions") if r["EventId"].lower() == event and r["Status"] != "Pending"]
            history = [r for r in self.rows(job, "BatchJobHistory") if r["Change"] == "Requeued"]
            return (decision, self.rows(job, "RequeueAttempts"), history) if decision and history else None

        decisions, attempts, history = until(f"decision and history of job {job}", written, 60)
        assert [(r["Decision"], r["Status"], r["Rule"]) for r in decisions] == [("Requeue", "Requeued", "failed jobs")], decisions
        assert [r["Outcome"] for r in attempts] == ["Requeued"], attempts
        assert len(history) == 1 and "failed jobs" in history[0]["Reason"], history

    def leave_loop_open(self):
        """Deletes the endpoint of the sample rows through which the stack would requeue its own failures."""
        self.send(self.all, DEFAULT, "the endpoint of the sample rows", "DELETE", OWN_LOOP, 204)

    def requeued_by_itself(self, job, seconds):
        """Waits until a job that no event from outside was about waits again."""
        def decided():
            rows = self.rows(job, "RequeueDecisions")
            return rows if [r["Status"] for r in rows] == ["Requeued"] else None

        rows = until(f"the decision of job {job}: {self.rows(job, 'RequeueDecisions')}", decided, seconds)
        assert [(r["Source"], r["Decision"]) for r in rows] == [("self", "Requeue")], rows
        job = self.send(self.all, DEFAULT, "a job that was requeued by itself", "GET", f"/data/BatchJobs({job})", 200).json()
        assert job["Status"] == "Waiting", job
        endpoints = expect(self.all.send("GET", "/data/BusinessEventEndpoints"), 200).json()["value"]
        assert [e["Active"] for e in endpoints if e["Url"] == "rebatch:events"] == [True], endpoints

    # ── Business events ──

    def subscribe(self):
        endpoint = {"Name": "test", "Url": f"{self.world.url}/hook", "BusinessEventIds": ["BatchJobFailedBusinessEvent"],
                    "Secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
        self.send(self.all, DEFAULT, "an endpoint for business events", "POST", "/data/BusinessEventEndpoints", 201, body=endpoint)

    def delivered(self, job, seconds):
        def came():
            return [(headers, body) for headers, body in self.world.received if body.get("JobId", body.get("BatchJobId")) in (job, str(job))]

        headers, _ = until(f"the business event of job {job}, of {self.world.received}", came, seconds)[0]
        assert any(name.lower() == "webhook-signature" for name in headers), headers
