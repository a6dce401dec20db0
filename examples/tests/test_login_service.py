"""An app of the older system, walked through the example service."""

import hashlib
import json
import time
import unittest

import boto3
import jwt

from processes import ISSUER, LocalStack, LoginService, http

USER_IP = "203.0.113.9"
ORDER = {"reference": "order-1", "amount": "19900", "currency": "CNY", "payee": "Example Shop"}


def md5(password):
    """Returns what the apps send as a password."""
    return hashlib.md5(password.encode()).hexdigest()


class App:
    """An app, with the session of the last response that had one."""

    def __init__(self, service):
        self.service, self.token, self.cookie = service, None, None

    def call(self, method, **fields):
        """Calls the service. Waits as long as it asks for between two codes, as an app does."""
        body = self.call_once(method, **fields)
        if body["code"] == "SEND_MESSAGE_FREQUENTLY":
            time.sleep(body["retryAfter"])
            body = self.call_once(method, **fields)
        return body

    def call_once(self, method, **fields):
        headers = {"X-Forwarded-For": USER_IP, "User-Agent": "okhttp/3.12.0", "Accept-Language": "zh-CN"}
        headers |= {"token": self.token} if self.token else {}
        headers |= {"Cookie": self.cookie} if self.cookie else {}
        response = http.request("POST", f"{self.service.url}/v1/user/{method}", json=fields, headers=headers)
        body = response.json()
        assert response.status == 200, body
        if "token" in body:
            assert response.headers["Authorization"] == f"Bearer {body['token']}", response.headers
            self.token = body["token"]
        if "Set-Cookie" in response.headers:
            self.cookie = response.headers["Set-Cookie"].split(";")[0]
        return body

    def result(self, method, **fields):
        body = self.call(method, **fields)
        assert (body["status"], body["code"], body["success"]) == (200, "OK", True), body
        return body["result"]

    def refusal(self, method, **fields):
        body = self.call(method, **fields)
        assert body["success"] is False and body["message"], body
        return body["status"], body["code"]


class LoginServiceTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = LocalStack()
        cls.addClassCleanup(cls.stack.stop)
        cls.service = LoginService(cls.stack)
        cls.addClassCleanup(cls.service.stop)
        session = boto3.Session("local", "local", region_name="us-east-1")
        cls.functions = session.client("lambda", endpoint_url=cls.stack.url)

    def invoke(self, function, **event):
        payload = json.dumps({"sourceIp": USER_IP, **event})
        response = self.functions.invoke(FunctionName=function, Payload=payload)
        result = json.load(response["Payload"])
        self.assertNotIn("FunctionError", response, result)
        return result

    def register(self, phone, password, **more):
        """Registers a user by SMS, and returns their app and what the service returned."""
        app = App(self.service)
        phone_info = app.result("sendRegisterMessage", phone=phone)
        code = self.stack.code(f"+86{phone}")
        return app, app.result("register", phoneInfo=phone_info, code=code, password=md5(password), **more)

    def test_user_walks_from_registration_to_closing(self):
        app = App(self.service)
        phone_info = app.result("sendRegisterMessage", phone="138-0013-8000")
        code = self.stack.code("+8613800138000")
        spaced = f" {code[:3]} {code[3:]} "
        user = app.result("register", phoneInfo=phone_info, code=spaced, password=md5("first"), name="li")
        self.assertEqual((user["name"], user["phone"]), ("li", "+8613800138000"))
        self.assertGreater(user["lastLoginTime"], 1_700_000_000_000)

        app = App(self.service)
        for value in ("13800138000", "+8613800138000"[3:], "li"):
            self.assertEqual(app.result("login", value=value, password=md5("first"))["uuid"], user["uuid"])
        phone_info = app.result("sendLoginMessage", phone="13800138000")
        by_code = {"phoneInfo": phone_info, "code": self.stack.code("+8613800138000")}
        self.assertEqual(app.result("loginByMessage", **by_code)["uuid"], user["uuid"])
        self.assertEqual(app.refusal("loginByMessage", **by_code), (400, "{CODE}_NOT_VALID"))

        old_token = app.token
        phone_info = app.result("sendChangePasswordMessage", time=1690000000000)
        change = {"phoneInfo": phone_info, "code": self.stack.code("+8613800138000")}
        self.assertIs(app.result("changePasswordByMessage", newPassword=md5("second"), **change), True)
        replay = app.refusal("changePasswordByMessage", newPassword=md5("third"), **change)
        self.assertEqual(replay, (400, "{CODE}_NOT_VALID"))
        self.assertEqual(app.refusal("login", value="li", password=md5("first")), (401, "LOGIN_FAILED"))
        app.result("login", value="li", password=md5("second"))
        app.result("changePassword", oldPassword=md5("second"), newPassword=md5("third"))
        old_app = App(self.service)
        old_app.token = old_token
        self.assertEqual(old_app.refusal("sendChangePasswordMessage"), (401, "INVALID_TOKEN"))

        self.pay(app, user["uuid"])

        forgetful = App(self.service)
        phone_info = forgetful.result("sendChangePasswordMessage2", phone="13800138000")
        recovery = {"phoneInfo": phone_info, "code": self.stack.code("+8613800138000")}
        short = forgetful.refusal("changePasswordByMessage2", newPassword="short", **recovery)
        self.assertEqual(short, (400, "{NEW_PASSWORD}_NOT_VALID"))
        self.assertIs(forgetful.result("changePasswordByMessage2", newPassword=md5("fourth"), **recovery), True)
        self.assertEqual(app.refusal("sendChangePasswordMessage"), (401, "INVALID_TOKEN"))
        forgetful.result("login", value="13800138000", password=md5("fourth"))
        self.assertIs(forgetful.result("logout", time=1690000000000), True)

        audit = self.stack.member(user["uuid"])["audit"]
        self.assertEqual({record["source_ip"] for record in audit}, {USER_IP}, audit)

        url = f"{self.stack.url}/member/userservice/security"
        headers = {"token": forgetful.token, "X-Forwarded-For": USER_IP}
        closed = http.request("DELETE", url, json={"password": md5("fourth")}, headers=headers)
        self.assertEqual(closed.json()["code"], "200", closed.json())
        by_phone = {"value": "13800138000", "password": md5("fourth")}
        self.assertEqual(App(self.service).refusal("login", **by_phone), (401, "LOGIN_FAILED"))

    def pay(self, app, member):
        """Sets a pay password at the API, confirms an order with it, and pays once."""
        url = f"{self.stack.url}/member/userservice/security/payPassword"
        headers = {"token": app.token, "X-Forwarded-For": USER_IP}
        response = http.request("PUT", url, json={"payPasswordFirst": "739154"}, headers=headers)
        session = response.json()["token"]
        wrong = self.invoke("check-pay-password", session=session, payPassword="739155", order=ORDER)
        self.assertEqual((wrong["error"], wrong["attemptsLeft"]), ("{PAY_PASSWORD}_NOT_VALID", 4))
        checked = self.invoke("check-pay-password", session=session, payPassword="739154", order=ORDER)
        self.assertEqual(checked["elements"], ["pay-password"])
        receipt = checked["receipt"]
        other = self.invoke("spend-receipt", receipt=receipt, order=ORDER | {"amount": "1"})
        self.assertEqual(other["error"], "RECEIPT_NOT_VALID")
        spent = self.invoke("spend-receipt", receipt=receipt, order=ORDER)
        self.assertEqual((spent["member"], spent["first"]), (member, True))
        self.assertIs(self.invoke("spend-receipt", receipt=receipt, order=ORDER)["first"], False)
        replay = self.invoke("spend-receipt", receipt=receipt, order=ORDER | {"reference": "order-2"})
        self.assertEqual(replay["error"], "RECEIPT_NOT_VALID")

    def test_refused_password_or_name_costs_no_code(self):
        self.register("13800138001", "a password", name="wang")
        app = App(self.service)
        phone_info = app.result("sendRegisterMessage", phone="13800138002")
        proof = {"phoneInfo": phone_info, "code": self.stack.code("+8613800138002")}
        self.assertEqual(app.refusal("register", password="short", **proof), (400, "{PASSWORD}_NOT_VALID"))
        taken = app.refusal("register", password=md5("good"), name="wang", **proof)
        self.assertEqual(taken, (400, "USER_NAME_EXIST"))
        user = app.result("register", password=md5("good"), name="zhao", **proof)
        repeated = app.result("register", password=md5("good"), **proof)
        self.assertEqual((repeated["uuid"], repeated["name"]), (user["uuid"], "zhao"))
        self.assertEqual(app.refusal("register", password=md5("other"), **proof), (401, "LOGIN_FAILED"))

    def test_responses_do_not_depend_on_accounts(self):
        self.register("13800138003", "a password", name="sun")
        app = App(self.service)
        for value, kind in (("sun", 0), ("nemo", 0), ("13800138003", 2), ("13800138009", 2)):
            self.assertIs(app.result("check", value=value, type=kind), False)
        refusals = set()
        for value in ("sun", "nemo", "13800138003", "13800138009", "nemo@example.com", "not@an@address"):
            body = app.call("login", value=value, password=md5("wrong"))
            refusals.add((body["status"], body["code"], body["message"]))
        self.assertEqual(len(refusals), 1, refusals)
        for call in ("sendLoginMessage", "sendChangePasswordMessage2", "sendRegisterMessage"):
            known, unknown = app.call(call, phone="13800138003"), app.call(call, phone="13800138009")
            self.assertEqual(known.keys(), unknown.keys())
            self.assertEqual(len(known["result"]), len(unknown["result"]))

    def test_phone_of_a_member_cannot_register_again(self):
        self.register("13800138004", "a password")
        app = App(self.service)
        phone_info = app.result("sendRegisterMessage", phone="13800138004", countryCode="86")
        proof = {"phoneInfo": phone_info, "code": self.stack.code("+8613800138004")}
        self.assertEqual(app.refusal("register", password=md5("mine"), **proof), (400, "USER_PHONE_EXIST"))
        self.assertIsNone(app.token)

    def test_missing_parameter_has_its_symbol(self):
        app = App(self.service)
        for call, symbol in (
            ("sendRegisterMessage", "{PHONE}_REQUIRED"), ("sendLoginMessage", "{PHONE}_REQUIRED"),
            ("register", "{PHONE_INFO}_REQUIRED"), ("loginByMessage", "{PHONE_INFO}_REQUIRED"),
            ("login", "{VALUE}_REQUIRED"), ("check", "{VALUE}_REQUIRED"),
            ("changePassword", "{OLD_PASSWORD}_REQUIRED"), ("sendChangePasswordMessage2", "{PHONE}_REQUIRED"),
        ):
            self.assertEqual(app.refusal(call), (400, symbol), call)
        self.assertEqual(app.refusal("login", value="li"), (400, "{PASSWORD}_REQUIRED"))
        self.assertEqual(app.refusal("register", phoneInfo="x", code="1"), (400, "{PASSWORD}_REQUIRED"))
        self.assertEqual(app.refusal("loginByMessage", phoneInfo="x", code="1"), (400, "{PHONE_INFO}_NOT_VALID"))

    def test_form_is_read_like_json(self):
        url = f"{self.service.url}/v1/user/sendLoginMessage"
        for encoded in ({"fields": {"phone": "13800138005"}, "encode_multipart": False}, {"body": b'{"phone":13800138006}'}):
            body = http.request("POST", url, **encoded).json()
            self.assertEqual(body["code"], "OK", body)

    def test_service_token_is_verified_by_pyjwt(self):
        app, user = self.register("13800138007", "a password")
        logged_in = self.invoke("log-in", phone="13800138007", password=md5("a password"))
        keys = self.stack.members_command("keys", "jwks", "--file", str(self.stack.keys_file))
        discovery = self.stack.members_command(
            "keys", "discovery", "--issuer", ISSUER, "--file", str(self.stack.keys_file)
        )
        self.assertEqual(discovery["jwks_uri"], f"{ISSUER}/.well-known/jwks.json")
        algorithms = discovery["id_token_signing_alg_values_supported"]
        token = logged_in["serviceToken"]
        key = jwt.PyJWKSet.from_dict(keys)[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(
            token, key, algorithms=algorithms, issuer=discovery["issuer"], audience="account-security-services",
            options={"require": ["sub", "iss", "aud", "iat", "exp", "auth_time"]},
        )
        self.assertEqual((claims["sub"], claims["amr"]), (user["uuid"], ["pwd"]))
        self.assertEqual(claims["exp"] - claims["iat"], 600)
        with self.assertRaises(jwt.InvalidAudienceError):
            jwt.decode(token, key, algorithms=algorithms, audience="account-security")


if __name__ == "__main__":
    unittest.main()
