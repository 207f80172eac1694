"""Compares the actions that functions made on the table with those that the template grants them.

usage: permissions.py TEMPLATE RECORDED

RECORDED has a line for each action: function, action, and the index if there is one. It is what the tests write where
REBATCH_ACTIONS names it. What is missing fails in production; what is never made should not be granted.
"""

import sys
from collections import defaultdict

from cfnlint.decode import cfn_yaml

ROLES = {"batch": "BatchRole", "job-state": "JobStateRole", "event-webhook": "EventWebhookRole", "outbox": "OutboxRole"}
# Statements about the table, and what stands before their actions in RECORDED's third column.
STATEMENTS = {"Table": "", "TableIndex": "index/due"}
# Granted although it depends on who comes first whether a test takes it: a job that several large units of work had a hold
# of when their owners died; a decision that was read alone because others were faster three times in a row.
RARE = {("job-state", "dynamodb:BatchGetItem", ""), ("event-webhook", "dynamodb:GetItem", "")}


def recorded(path):
    made = defaultdict(set)
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            function, action, *index = line.split()
            made[function].add((action, index[0] if index else ""))
    return made


def granted(template, role):
    actions = set()
    for policy in template["Resources"][role]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            where = STATEMENTS.get(statement.get("Sid"))
            if where is not None:
                listed = statement["Action"]
                actions |= {(action, where) for action in ([listed] if isinstance(listed, str) else listed)}
    return actions


def main(template, actions):
    template, made = cfn_yaml.load(template), recorded(actions)
    wrong = 0
    for function, role in ROLES.items():
        allowed = granted(template, role)
        for action, index in sorted(allowed | made[function]):
            used, may = (action, index) in made[function], (action, index) in allowed
            rare = (function, action, index) in RARE
            verdict = "NOT GRANTED" if not may else "ok" if used else "ok, rare" if rare else "NEVER MADE"
            wrong += not verdict.startswith("ok")
            print(f"  {function:14} {action:28} {index:10} {verdict}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
