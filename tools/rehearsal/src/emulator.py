"""Runs MiniStack with an inbox for SMS and with placeholders for resource types that its CloudFormation lacks.

It prints one JSON object per event: {"sms": ["<phone>", "<text>"]} or {"placeholder": "<type>"}.
"""

import http.server
import json

from ministack import app
from ministack.services import sns
from ministack.services.cloudformation import provisioners

publish = sns._publish
handlers = provisioners._RESOURCE_HANDLERS


def report(name, value):
    print(json.dumps({name: value}), flush=True)


def publish_and_report(parameters):
    if phone := sns._p(parameters, "PhoneNumber"):
        report("sms", [phone, sns._p(parameters, "Message")])
    return publish(parameters)


class Attributes(dict):
    """The attributes of a placeholder: every name has a value."""

    def get(self, name, default=None):
        return f"placeholder-{name}"


class Handlers(dict):
    def get(self, kind, default=None):
        known = super().get(kind)

        def create(logical_id, properties, stack):
            try:
                if known:
                    return known["create"](logical_id, properties, stack)
            except ValueError as error:
                if "is not supported" not in str(error):
                    raise
            report("placeholder", kind)
            return f"{stack}-{logical_id}", Attributes()

        if kind.startswith(("AWS::CloudFormation::", "Custom::")):
            return known
        return {"delete": lambda *_: None, **(known or {}), "create": create}


class SingleDelivery(http.server.BaseHTTPRequestHandler):
    """Delivers each event once. MiniStack stops a process after its response, but serves the event again until then."""

    def __init_subclass__(cls):
        if cls.__name__ == "RuntimeAPIHandler":
            deliver, delivered = cls.do_GET, []

            def deliver_once(self):
                if not delivered:
                    delivered.append(self)
                    deliver(self)

            cls.do_GET = deliver_once


http.server.BaseHTTPRequestHandler = SingleDelivery
sns._publish = publish_and_report
provisioners._RESOURCE_HANDLERS = Handlers(handlers)
app.main()
