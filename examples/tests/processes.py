"""The local stack and the login service, as processes of a test."""

import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import urllib3
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

ROOT = Path(__file__).resolve().parents[2]
SERVICE = ROOT / "examples" / "login-service" / "login_service.py"
ISSUER = "https://account.example.com"
START_SECONDS = 600
MESSAGE_SECONDS = 20

http = urllib3.PoolManager(retries=False, timeout=60)


class Process:
    """A process whose output is kept. `wait_for` returns what a pattern finds in it."""

    def __init__(self, command, environment):
        self.output, self.changed = "", threading.Condition()
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | environment, text=True, encoding="utf-8",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            with self.changed:
                self.output += line
                self.changed.notify_all()
        with self.changed:
            self.output += "\n[ended]\n"
            self.changed.notify_all()

    def wait_for(self, pattern):
        found = lambda: re.search(pattern, self.output) or "[ended]" in self.output
        with self.changed:
            self.changed.wait_for(found, timeout=START_SECONDS)
            match = re.search(pattern, self.output)
        if not match:
            raise RuntimeError(f"the process did not print {pattern}:\n{self.output}")
        return match[1]

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class LocalStack:
    """A local stack with a key for service tokens, on a free port."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.keys_file = Path(self.folder.name) / "data.keys"
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        service_key = {"kid": "s1", "alg": "ES256", "pem": pem.decode()}
        keys = {"current": "k1", "k1": secrets.token_hex(32), "serviceKeys": [service_key]}
        self.keys_file.write_text(json.dumps(keys))
        self.keys_file.chmod(0o600)
        settings = {
            "RESEND_AFTER_SECONDS": "1", "SENDS_PER_HOUR": "100", "SENDS_PER_DAY": "100",
            "SOURCE_SENDS_PER_HOUR": "1000", "SESSION_ISSUER": ISSUER,
            # The API's callers are end users, or the login service on behalf of one.
            "TRUSTED_PROXIES": "2",
        }
        data = str(self.keys_file.with_suffix(""))
        self.process = Process(["cargo", "run", "--", "--port", "0", "--data", data], settings)
        self.url = self.process.wait_for(r"Listening on (http://\S+)")
        self.read_messages = set()
        # What boto3 and the AWS SDK for JavaScript need to invoke the functions of this stack.
        self.aws = {
            "AWS_ENDPOINT_URL_LAMBDA": self.url, "AWS_DEFAULT_REGION": "us-east-1", "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
        }

    def messages(self):
        return http.request("GET", f"{self.url}/_local/messages").json()

    def code(self, to=None):
        """Waits for a message with a code that was not returned before, and returns the code."""
        deadline = time.monotonic() + MESSAGE_SECONDS
        while time.monotonic() < deadline:
            for message in self.messages():
                if message["code"] and message["id"] not in self.read_messages and to in (None, message["to"]):
                    self.read_messages.add(message["id"])
                    return message["code"]
            time.sleep(0.05)
        raise AssertionError(f"no code to {to}: {self.messages()}")

    def member(self, member):
        return http.request("GET", f"{self.url}/_local/members/{member}").json()

    def members_command(self, *arguments):
        """Runs the operator's command and returns the JSON that it prints."""
        command = ["cargo", "run", "--quiet", "--bin", "members", "--", *arguments]
        return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)

    def stop(self):
        self.process.stop()
        self.folder.cleanup()


class LoginService:
    """The example service, behind one proxy, on the local stack."""

    def __init__(self, stack):
        environment = stack.aws | {"ACCOUNT_API": stack.url, "TRUSTED_PROXIES": "1", "PORT": "0"}
        self.process = Process([sys.executable, str(SERVICE)], environment)
        self.url = self.process.wait_for(r"Running on (http://\S+)")

    def stop(self):
        self.process.stop()
