"""MiniStack, with an inbox for SMS, and with a placeholder for each resource that its CloudFormation does not know.

Both are told on standard output, a JSON object a line: {"sms": ["<phone>", "<text>"]}, {"placeholder": "<type>"}.
"""

import http.server
import json

from ministack import app
from ministack.services import sns
from ministack.services.cloudformation import provisioners

publish = sns._publish
handlers = provisioners._RESOURCE_HANDLERS


def tell(name, value):
    print(json.dumps({name: value}), flush=True)


def publish_and_tell(parameters):
    if phone := sns._p(parameters, "PhoneNumber"):
        tell("sms", [phone, sns._p(parameters, "Message")])
    return publish(parameters)


class Attributes(dict):
    """Whatever is asked of a placeholder is there."""

    def get(self, name, default=None):
        return f"placeholder-{name}"


class Handlers(dict):
    def get(self, kind, default=None):
        known = super().get(kind)

        def create(logical_id, properties, stack):
            try:
                if known:
                    return known["create"](logical_id, properties, stack)
            except ValueError as refusal:
                if "is not supported" not in str(refusal):
                    raise
            tell("placeholder", kind)
            return f"{stack}-{logical_id}", Attributes()

        if kind.startswith(("AWS::CloudFormation::", "Custom::")):
            return known
        return {"delete": lambda *_: None, **(known or {}), "create": create}


class Once(http.server.BaseHTTPRequestHandler):
    """Hands an event over once. MiniStack stops a process after its answer, and until then gives it the same again."""

    def __init_subclass__(cls):
        if cls.__name__ == "RuntimeAPIHandler":
            hand_over, handed_over = cls.do_GET, []

            def hand_over_once(self):
                if not handed_over:
                    handed_over.append(self)
                    hand_over(self)

            cls.do_GET = hand_over_once


http.server.BaseHTTPRequestHandler = Once
sns._publish = publish_and_tell
provisioners._RESOURCE_HANDLERS = Handlers(handlers)
app.main()
