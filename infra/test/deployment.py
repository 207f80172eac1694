"""What `sam deploy` does: uploads what the template names, and has CloudFormation carry out a change set."""

import hashlib
import io
import json
import uuid
import zipfile

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

BUCKET = "artifacts"
LOCATIONS = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}


def read(path):
    return yaml_parse(path.read_text())


def translate(template, region):
    """The template that CloudFormation makes of it."""
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=region))
    return translator.translate(template, parameter_values={})


def zipped(path):
    """A folder as a zip that only depends on what is in it; a zip as it is."""
    if path.is_file():
        return path.read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(file for file in path.rglob("*") if file.is_file()):
            archive.writestr(zipfile.ZipInfo(str(file.relative_to(path))), file.read_bytes())
    return buffer.getvalue()


def package(path, upload):
    """The template with what `upload` returned in place of paths."""
    template = read(path)
    for resource in template["Resources"].values():
        member = LOCATIONS.get(resource["Type"])
        if member:
            data = zipped(path.parent / resource["Properties"][member])
            resource["Properties"][member] = upload(hashlib.sha256(data).hexdigest(), data)
    return template


class Stack:
    """A stack in the emulator."""

    def __init__(self, session, name, template, endpoint):
        self.session, self.name, self.template, self.endpoint = session, name, template, endpoint
        self.s3 = self.client("s3")
        self.cloudformation = self.client("cloudformation")

    def client(self, service):
        return self.session.client(service, endpoint_url=self.endpoint)

    def deploy(self, parameters):
        """Creates the stack, or brings it to the template and these parameters."""
        def upload(name, data):
            self.s3.put_object(Bucket=BUCKET, Key=name, Body=data)
            return f"s3://{BUCKET}/{name}"

        exists = any(s["StackName"] == self.name for s in self.cloudformation.describe_stacks()["Stacks"])
        if not exists:
            self.s3.create_bucket(
                Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": self.session.region_name}
            )
        body = json.dumps(package(self.template, upload))
        self.s3.put_object(Bucket=BUCKET, Key="template", Body=body)
        change = {"StackName": self.name, "ChangeSetName": f"c{uuid.uuid4().hex}"}
        self.cloudformation.create_change_set(
            **change,
            ChangeSetType="UPDATE" if exists else "CREATE",
            TemplateURL=f"{self.endpoint}/{BUCKET}/template",
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        )
        waiter = {"Delay": 1, "MaxAttempts": 120}
        self.cloudformation.get_waiter("change_set_create_complete").wait(**change, WaiterConfig=waiter)
        self.cloudformation.execute_change_set(**change)
        done = self.cloudformation.get_waiter("stack_update_complete" if exists else "stack_create_complete")
        done.wait(StackName=self.name, WaiterConfig=waiter)

    def outputs(self):
        stack = self.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def resources(self):
        """Physical ids by logical id."""
        pages = self.cloudformation.get_paginator("list_stack_resources").paginate(StackName=self.name)
        summaries = [summary for page in pages for summary in page["StackResourceSummaries"]]
        return {summary["LogicalResourceId"]: summary["PhysicalResourceId"] for summary in summaries}
