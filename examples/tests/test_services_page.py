"""The examples of docs/services.md run as printed, and its templates name outputs that exist."""

import builtins
import contextlib
import filecmp
import io
import os
import re
import shutil
import subprocess
import unittest
from unittest import mock

import yaml

from processes import ROOT, LocalStack

PAGE = (ROOT / "docs" / "services.md").read_text()
TYPESCRIPT = ROOT / "target" / "examples"
EXPECTED_REFUSALS = ("CREDENTIALS_NOT_VALID", "MEMBER_NOT_FOUND", "RECEIPT_NOT_VALID")
MANIFESTS = ("package.json", "package-lock.json")


def blocks(language):
    """Returns the code blocks of the page in this language, each after as many empty lines as precede it there."""
    found = re.finditer(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return ["\n" * PAGE.count("\n", 0, block.start(1)) + block[1] for block in found]


def install_typescript():
    """Installs the compiler and the AWS SDK from the npm registry, unless the installed ones match the lock file."""
    source = ROOT / "examples" / "tests"
    installed = TYPESCRIPT / "installed-lock.json"
    if installed.exists() and filecmp.cmp(source / "package-lock.json", installed, shallow=False):
        return
    if not shutil.which("npm"):
        raise RuntimeError("npm is missing; install Node.js 20 or newer")
    TYPESCRIPT.mkdir(parents=True, exist_ok=True)
    for name in MANIFESTS:
        shutil.copy(source / name, TYPESCRIPT / name)
    subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=TYPESCRIPT, check=True)
    shutil.copy(source / "package-lock.json", installed)


class Intrinsic(yaml.SafeLoader):
    """Reads `!Ref X` and the like as ("Ref", "X")."""


Intrinsic.add_multi_constructor(
    "!", lambda loader, tag, node: (tag, getattr(node, "value", None))
)


class ServicesPageTest(unittest.TestCase):
    def setUp(self):
        self.stack = LocalStack()
        self.addCleanup(self.stack.stop)

    def recorded(self, invoke, results):
        """Returns the page's `invoke`, which also appends each result to `results`."""

        def recording(function, **event):
            results.append(invoke(function, **event))
            return results[-1]

        return recording

    def test_python_runs_as_printed(self):
        printed = blocks("python")
        self.assertGreaterEqual(len(printed), 6)
        names, results, output = {}, [], io.StringIO()
        ask = mock.patch.object(builtins, "input", lambda prompt: self.stack.code())
        with ask, mock.patch.dict(os.environ, self.stack.aws), contextlib.redirect_stdout(output):
            for block in printed:
                exec(compile(block, "docs/services.md", "exec"), names)
                if block is printed[0]:
                    names["invoke"] = self.recorded(names["invoke"], results)
        self.assertGreaterEqual(len(results), 9)
        self.assertLessEqual({result.get("error") for result in results}, {None, *EXPECTED_REFUSALS})
        self.assertIn("pay 19900", output.getvalue())
        self.assertTrue(self.stack.member(names["created"]["member"])["hasPayPassword"])

    def test_typescript_runs_as_printed(self):
        printed = blocks("typescript")
        self.assertGreaterEqual(len(printed), 5)
        install_typescript()
        (TYPESCRIPT / "page.mts").write_text("\n".join(block.lstrip("\n") for block in printed))
        compiler = ["node_modules/.bin/tsc", "--strict", "--target", "es2022", "--module", "nodenext"]
        compiler += ["--types", "node", "page.mts"]
        compiled = subprocess.run(compiler, cwd=TYPESCRIPT, stdout=subprocess.PIPE, text=True)
        self.assertEqual(compiled.returncode, 0, compiled.stdout)
        node = subprocess.Popen(
            ["node", "page.mjs"], cwd=TYPESCRIPT, env=os.environ | self.stack.aws, bufsize=0,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        self.addCleanup(node.communicate)
        self.addCleanup(node.kill)
        output = b""
        while byte := node.stdout.read(1):
            output += byte
            if output.endswith(b"Code: "):
                node.stdin.write(f"{self.stack.code()}\n".encode())
        self.assertEqual(node.wait(timeout=60), 0, output.decode())
        self.assertIn(b"pay 19900", output)


class TemplatesOfThePageTest(unittest.TestCase):
    def test_templates_parse_and_name_existing_outputs(self):
        outputs = yaml.load((ROOT / "template.yaml").read_text(), Intrinsic)["Outputs"]
        templates = [yaml.load(block, Intrinsic) for block in blocks("yaml")]
        self.assertGreaterEqual(len(templates), 2)
        named = set(re.findall(r"\b[A-Z]\w+Function(?:Arn|Name)\b|\b[A-Z]\w+PolicyArn\b", PAGE))
        self.assertGreaterEqual(len(named), 3, named)
        self.assertLessEqual(named, set(outputs))


if __name__ == "__main__":
    unittest.main()
