"""Serves the calls that apps of an older system make below /v1/user, on top of the account-security functions.

README.md beside this file has the calls, the settings, and the differences from that system's own server.
"""

import base64
import hashlib
import json
import os
import re
import sqlite3
import time
from urllib.parse import urlencode

import boto3
import urllib3
from botocore.config import Config
from flask import Flask, jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

LOCAL_STACK = "http://127.0.0.1:3000"

if __name__ == "__main__":  # Without a WSGI server, it uses the local stack unless the environment names another.
    local = {"AWS_ENDPOINT_URL_LAMBDA": LOCAL_STACK, "AWS_DEFAULT_REGION": "us-east-1"}
    local |= {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    os.environ.update({name: value for name, value in local.items() if name not in os.environ})

API = os.environ.get("ACCOUNT_API", LOCAL_STACK)
LOG_IN = os.environ.get("LOG_IN_FUNCTION", "log-in")
SEND_LOG_IN_CODE = os.environ.get("SEND_LOG_IN_CODE_FUNCTION", "send-log-in-code")
CREATE_MEMBER = os.environ.get("CREATE_MEMBER_FUNCTION", "create-member")

app = Flask(__name__)
app.json.ensure_ascii, app.json.sort_keys = False, False
app.config["MAX_CONTENT_LENGTH"] = 16 * 1024
proxies = int(os.environ.get("TRUSTED_PROXIES", "0"))
app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies)

# An attempt must not count twice, so a lost response is not repeated.
functions = boto3.client("lambda", config=Config(read_timeout=30, retries={"total_max_attempts": 1}))
http = urllib3.PoolManager(retries=False, timeout=30)

USER = ("uuid", "name", "phone", "email", "lastLoginTime")
users = sqlite3.connect(os.environ.get("USERS_DB", ":memory:"), check_same_thread=False, isolation_level=None)
users.execute(
    "CREATE TABLE IF NOT EXISTS users"
    " (uuid TEXT PRIMARY KEY, name TEXT UNIQUE, phone TEXT, email TEXT, lastLoginTime INTEGER)"
)

# The symbols that the apps know, by those of the functions.
SYMBOLS = {
    "CREDENTIALS_NOT_VALID": "LOGIN_FAILED",
    "MEMBER_NOT_FOUND": "USER_PHONE_NOT_EXIST",
    "PHONE_IN_USE": "USER_PHONE_EXIST",
    "{VERIFICATION}_NOT_VALID": "{PHONE_INFO}_NOT_VALID",
}
STATUSES = {"LOGIN_FAILED": 401, "INVALID_TOKEN": 401, "TOO_MANY_ATTEMPTS": 429, "TOO_MANY_CHANGES": 429}
STATUSES |= {"SEND_MESSAGE_ERROR": 500, "INTERNAL_SERVER_ERROR": 500, "SERVICE_BUSY": 503}
TEXTS = {  # in Chinese and English, for refusals of this service itself
    "REQUIRED": ("缺少参数", "a parameter is missing"),
    "USER_PHONE_EXIST": ("该手机号已注册，请直接登录", "the phone is registered; log in with it"),
    "USER_NAME_EXIST": ("该用户名已被使用，请换一个", "the name is taken; choose another one"),
    "LOGIN_FAILED": ("账号或密码错误", "the account or the password is wrong"),
    "{PHONE_INFO}_NOT_VALID": ("验证码已失效，请重新获取", "the code is invalid; request another one"),
    "INTERNAL_SERVER_ERROR": ("服务器错误，请稍后再试", "the request failed; try again later"),
}


class Refusal(Exception):
    """A response that is not a success. `cause` is the refusal of a function or of the API, if there is one."""

    def __init__(self, symbol, cause=None):
        super().__init__(symbol)
        self.symbol, self.cause = SYMBOLS.get(symbol, symbol), cause or {}

    def response(self):
        texts = TEXTS.get("REQUIRED" if self.symbol.endswith("_REQUIRED") else self.symbol)
        is_english = request.accept_languages.best_match(["zh", "zh-CN", "en"], "zh") == "en"
        text = texts[is_english] if texts else self.cause.get("message") or self.cause.get("msg") or self.symbol
        body = {"status": STATUSES.get(self.symbol, 400), "code": self.symbol, "message": text, "success": False}
        body |= {name: self.cause[name] for name in ("attemptsLeft", "retryAfter") if name in self.cause}
        return jsonify(body)


def success(result, session=None, **more):
    body = {"status": 200, "result": result, "code": "OK", "success": True, **more}
    if session is None:
        return jsonify(body)
    response = jsonify(body | {"token": session})
    response.headers["Authorization"] = f"Bearer {session}"
    return response


def parameter(name):
    """Returns a parameter of the JSON body, the form or the query, or None if it is missing or blank."""
    body = request.get_json(force=True, silent=True)
    for source in (body if isinstance(body, dict) else {}, request.form, request.args):
        value = source.get(name)
        if isinstance(value, (str, int)) and str(value).strip():
            return str(value)
    return None


def required(*names):
    values = [parameter(name) for name in names]
    for name, value in zip(names, values):
        if value is None:
            raise Refusal("{" + re.sub("(?=[A-Z])", "_", name).upper() + "}_REQUIRED")
    return values


def typed_phone(text):
    """Returns the international number: only digits count, and the calling code is 86 unless the app sends another."""
    return f"+{parameter('countryCode') or 86}" + re.sub(r"\D", "", text)


def phone_of(phone_info):
    """Returns the phone that a phoneInfo names. Its signature is verified by the function that receives it."""
    try:
        decode = lambda text: base64.b64decode(text.replace(".", "="), validate=True).decode()
        calling_code, number = map(decode, decode(phone_info).split(".qzy-sp-token@6cs92d-token.")[:2])
        return f"+{int(calling_code)}{int(number)}"
    except ValueError:
        raise Refusal("{PHONE_INFO}_NOT_VALID") from None


def code_key(phone_info, code):
    """Returns an idempotency key, under which a code is exchanged for the same grant again.

    A refused password then costs the user no second SMS.
    """
    return hashlib.sha256(f"{phone_info} {code}".encode()).hexdigest()


def end_user():
    """Returns the fields about the user who sent this request, for rate limits and the audit trail."""
    headers = {"userAgent": request.headers.get("User-Agent"), "language": request.headers.get("Accept-Language")}
    return {"sourceIp": request.remote_addr} | {name: value[:256] for name, value in headers.items() if value}


def invoke(function, **fields):
    """Invokes a function. A refusal and a fault become a Refusal."""
    response = functions.invoke(FunctionName=function, Payload=json.dumps(fields | end_user()))
    result = json.load(response["Payload"])
    if "FunctionError" in response:
        raise Refusal("SERVICE_BUSY" if result.get("errorType") == "SERVICE_BUSY" else "INTERNAL_SERVER_ERROR")
    if not result["success"]:
        raise Refusal(result["error"], result)
    return result


def call_api(method, path, body, headers):
    """Calls the API, which learns the address of the end user from X-Forwarded-For."""
    passed_on = {name: request.headers[name] for name in ("Accept-Language", "User-Agent") if name in request.headers}
    headers = passed_on | {"X-Forwarded-For": request.remote_addr} | headers
    return http.request(method, API + path, body=body, headers=headers)


def member_api(method, path, fields, headers=None):
    if method == "GET":
        path, body = f"{path}?{urlencode(fields)}", None
    else:
        body = json.dumps(fields)
    result = call_api(method, path, body, {"Content-Type": "application/json"} | (headers or {})).json()
    if "error" in result:
        raise Refusal(result["error"], result)
    return result


def logged_in(result, **known):
    """Returns the response to a login: the user, the session, and a cookie that makes the device a known one."""
    uuid = result["member"]
    users.execute("INSERT INTO users (uuid) VALUES (?) ON CONFLICT DO NOTHING", [uuid])
    for column, value in ({"lastLoginTime": int(time.time() * 1000)} | known).items():
        users.execute(f"UPDATE OR IGNORE users SET {column} = ? WHERE uuid = ?", [value, uuid])
    row = users.execute(f"SELECT {', '.join(USER)} FROM users WHERE uuid = ?", [uuid]).fetchone()
    response = success(dict(zip(USER, row)), result["session"])
    if "device" in result:
        flags = {"secure": request.is_secure, "httponly": True, "samesite": "Lax"}
        response.set_cookie("device", result["device"], max_age=365 * 86400, **flags)
    return response


def send_code(purpose):
    (phone,) = required("phone")
    sent = invoke(SEND_LOG_IN_CODE, purpose=purpose, phone=typed_phone(phone))
    return success(sent["verification"], expiresIn=sent["expiresIn"], resendIn=sent["resendIn"])


@app.post("/v1/user/sendRegisterMessage")
def send_register_message():
    return send_code("register")


@app.post("/v1/user/sendLoginMessage")
def send_login_message():
    return send_code("login")


@app.post("/v1/user/register")
def register():
    phone_info, code, password = required("phoneInfo", "code", "password")
    phone, name = phone_of(phone_info), parameter("name")
    try:
        key = code_key(phone_info, code)
        invoke(LOG_IN, phone=phone, code=code, verification=phone_info, idempotencyKey=key)
    except Refusal as refusal:
        if "verification" not in refusal.cause:
            raise
        grant = refusal.cause["verification"]
    else:
        raise Refusal("USER_PHONE_EXIST")
    if name and users.execute("SELECT 1 FROM users WHERE name = ?", [name]).fetchone():
        raise Refusal("USER_NAME_EXIST")
    try:
        invoke(CREATE_MEMBER, verification=grant, password=password)
    except Refusal as refusal:
        raise Refusal(refusal.symbol.replace("{NEW_PASSWORD}", "{PASSWORD}"), refusal.cause) from None
    known = {"phone": phone} | ({"name": name} if name else {})
    return logged_in(invoke(LOG_IN, phone=phone, password=password), **known)


@app.post("/v1/user/loginByMessage")
def login_by_message():
    phone_info, code = required("phoneInfo", "code")
    phone = phone_of(phone_info)
    return logged_in(invoke(LOG_IN, phone=phone, code=code, verification=phone_info), phone=phone)


@app.post("/v1/user/login")
def login():
    value, password = required("value", "password")
    if "@" in value:
        address = {"email": value}
    elif re.fullmatch(r"[\d\s()+.-]+", value):
        address = {"phone": typed_phone(value)}
    elif row := users.execute("SELECT phone FROM users WHERE name = ?", [value]).fetchone():
        address = {"phone": row[0]}
    else:  # An address that no one can have costs the same work, and locks after as many failures.
        address = {"email": hashlib.sha256(value.encode()).hexdigest()[:32] + "@name.invalid"}
    device = request.cookies.get("device")
    try:
        result = invoke(LOG_IN, password=password, **address, **({"device": device} if device else {}))
    except Refusal as refusal:
        is_malformed = refusal.symbol in ("{PHONE}_NOT_VALID", "{EMAIL}_NOT_VALID")
        raise Refusal("LOGIN_FAILED") if is_malformed else refusal
    return logged_in(result, **address)


@app.post("/v1/user/check")
def check():
    required("value")
    return success(False)


@app.post("/v1/user/sendChangePasswordMessage2")
def send_change_password_message_2():
    (phone,) = required("phone")
    fields = {"phone": typed_phone(phone), "purpose": "recover"}
    sent = member_api("GET", "/member/userservice/security", fields)
    return success(sent["verification"], expiresIn=sent["expiresIn"], resendIn=sent["resendIn"])


@app.post("/v1/user/changePasswordByMessage2")
def change_password_by_message_2():
    phone_info, code, password = required("phoneInfo", "code", "newPassword")
    phone, key = phone_of(phone_info), {"Idempotency-Key": code_key(phone_info, code)}
    exchange = {"verification": phone_info, "message": code}
    grant = member_api("POST", "/web/userservice/security", exchange, key)["verification"]
    change = {"verification": grant, "phone": phone, "passwordFirst": password}
    member_api("PUT", "/web/userservice/security", change)
    return success(True)


@app.post("/v1/user/changePassword")
def change_password():
    old, new = required("oldPassword", "newPassword")
    session = request.headers.get("Authorization") or f"Bearer {request.headers.get('token') or parameter('token')}"
    change = {"oldPassword": old, "newPasswordFirst": new}
    changed = member_api("PUT", "/member/userservice/security", change, {"Authorization": session})
    return success(True, changed["token"])


@app.post("/v1/user/logout")
def logout():
    return success(True)


@app.post("/v1/user/sendChangePasswordMessage")
@app.post("/v1/user/changePasswordByMessage")
def forward():
    names = ("Authorization", "Content-Type", "Idempotency-Key", "Token")
    headers = {name: request.headers[name] for name in names if name in request.headers}
    query = request.query_string.decode()
    response = call_api("POST", f"{request.path}?{query}" if query else request.path, request.get_data(), headers)
    kept = ("Authorization", "Content-Type", "Retry-After", "X-Request-Id")
    return response.data, 200, {name: response.headers[name] for name in kept if name in response.headers}


@app.errorhandler(Exception)
def failed(error):
    if isinstance(error, HTTPException):
        symbol = "BODY_TOO_LARGE" if error.code == 413 else error.name.upper().replace(" ", "_")
        return jsonify(status=error.code, code=symbol, message=error.description, success=False)
    if not isinstance(error, Refusal):
        app.logger.error("%s failed", request.path, exc_info=error)
        error = Refusal("INTERNAL_SERVER_ERROR")
    return error.response()


@app.after_request
def forbid_caching(response):
    response.headers["Cache-Control"] = "no-store"
    return response


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "8080")))
