//! 验证邮件: the page that the link in an email opens.

use crate::{
    bundle::{
        Bundle, CookieJar, EMAIL, NEW_PASSWORD, OTHER_EMAIL, PIN, RECOVERY, Response, SEND_MAIL,
        SET_PAY_PASSWORD, VERIFY_MAIL,
    },
    mail::{NEW_EMAIL, verify, without_email},
};
use reqwest::Method;
use serde_json::{Value, json};

/// The `Accept` header of a browser.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// Returns the path and query of the link in the newest email.
fn link(bundle: &Bundle) -> String {
    let link = bundle.stack.messages()[0].link.clone().expect("no link was sent");
    let path = link.strip_prefix(bundle.stack.url()).unwrap_or_else(|| panic!("{link}"));
    assert!(path.starts_with("/web/userservice/security/verifyMail?"), "{link}");
    path.to_owned()
}

/// Opens a page as a browser does.
async fn open(bundle: &Bundle, path: &str, language: &str) -> Response {
    let call = bundle.call(Method::GET, path).header("Accept", BROWSER);
    let page = call.header("Accept-Language", language).send().await;
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8", "{}", page.text);
    assert_eq!(page.headers["cache-control"], "no-store");
    // Its URL contains the code, and another site must not frame it to capture a click on the button.
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    page
}

/// Returns the value of a hidden field of the page's form.
fn hidden(page: &Response, name: &str) -> String {
    let inputs = page.text.split("<input").skip(1).filter_map(|input| input.split('>').next());
    let mut fields = inputs.filter(|input| input.contains(&format!("name=\"{name}\"")));
    let (Some(input), None) = (fields.next(), fields.next()) else { panic!("{}", page.text) };
    assert!(input.contains("type=\"hidden\""), "{input}");
    let value = input.split("value=\"").nth(1).and_then(|value| value.split('"').next()).unwrap();
    [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")]
        .iter()
        .fold(value.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

/// Submits the form with the page's button.
async fn press(bundle: &Bundle, page: &Response, jar: &CookieJar, language: &str) -> Response {
    // The action is relative to the page's path, which keeps the stage of the API.
    assert!(
        page.text.contains("action=\"verifyMail\"") && page.text.contains("method=\"post\""),
        "{}",
        page.text
    );
    let form = [("verification", hidden(page, "verification")), ("code", hidden(page, "code"))];
    let form = [(form[0].0, form[0].1.as_str()), (form[1].0, form[1].1.as_str())];
    let call = bundle.call(Method::POST, VERIFY_MAIL).cookies(jar).header("Accept", BROWSER);
    let response = call.header("Accept-Language", language).form(&form).await;
    assert_eq!(response.headers["content-type"], "text/html; charset=utf-8", "{}", response.text);
    assert_eq!(response.headers["cache-control"], "no-store");
    response
}

#[tokio::test]
async fn button_binds_the_email_but_scanners_do_not() {
    let bundle = Bundle::start().await;
    let member = without_email(&bundle).await;
    let call = bundle.call(Method::POST, SEND_MAIL).session(&member.token);
    let sent = call.form(&[("email", NEW_EMAIL)]).await.documented(200);
    assert_eq!((sent.body["expiresIn"].as_u64(), sent.body["resendIn"].as_u64()), (Some(600), Some(120)));
    assert_eq!(sent.headers["authorization"], format!("Bearer {}", sent.token()));

    let path = link(&bundle);
    let before = bundle.items().await;
    for _ in 0..2 {
        assert_eq!(open(&bundle, &path, "zh-CN").await.status, 200);
        bundle.call(Method::HEAD, &path).send().await;
    }
    assert_eq!(bundle.items().await, before);
    assert_eq!(bundle.inspect(&member).await["email"], Value::Null);

    let page = open(&bundle, &path, "zh-CN").await;
    assert_eq!(hidden(&page, "verification"), sent.verification());
    let done = press(&bundle, &page, &CookieJar::new(), "zh-CN").await;
    assert_eq!(done.status, 200, "{}", done.text);
    let stored = bundle.inspect(&member).await;
    assert_eq!((&stored["email"], &stored["credentialVersion"]), (&json!(NEW_EMAIL), &json!(1)));
    assert_eq!(stored["audit"][0]["action"], "email-bound");
    assert_eq!(bundle.owner("email#li.lei@example.org").await, Some(member.id));
}

#[tokio::test]
async fn page_is_small_and_has_no_script() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    bundle.request_email_code(Some(&member), NEW_EMAIL).await;
    let path = link(&bundle);
    let chinese = open(&bundle, &path, "zh-CN").await;
    let english = open(&bundle, &path, "en").await;
    for (page, language) in [(&chinese, "zh-CN"), (&english, "en")] {
        let text = &page.text;
        assert!(text.len() < 4096, "{} bytes", text.len());
        assert!(text.contains(&format!("lang=\"{language}\"")), "{text}");
        let count = |tag: &str| text.matches(tag).count();
        assert_eq!((count("<form"), count("<button"), count("<input")), (1, 1, 2), "{text}");
        for forbidden in ["<script", "<img", "<link", "<iframe", "http://", "https://", "javascript:"] {
            assert!(!text.contains(forbidden), "{text}");
        }
    }
    assert!(english.text.is_ascii() && !chinese.text.is_ascii(), "{}", english.text);
    // An unsupported language gets the default, and the first of several wins.
    assert_eq!(open(&bundle, &path, "fr").await.text, chinese.text);
    assert_eq!(open(&bundle, &path, "en-GB,zh;q=0.5").await.text, english.text);
}

#[tokio::test]
async fn link_opens_the_page_for_any_accept_header() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    bundle.request_email_code(Some(&member), NEW_EMAIL).await;
    let path = link(&bundle);
    for accept in ["*/*", "application/json", "image/avif,image/webp"] {
        let page = bundle.call(Method::GET, &path).header("Accept", accept).send().await;
        assert_eq!(
            (page.status.as_u16(), page.text.matches("<form").count()),
            (200, 1),
            "{accept}: {}",
            page.text
        );
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    }
}

#[tokio::test]
async fn page_escapes_its_parameters() {
    let bundle = Bundle::start().await;
    for given in
        ["'\"><script>alert(1)</script>", "\" autofocus onfocus=\"alert(1)", "&quot;&#39;<!--", "</form>"]
    {
        let call = bundle.call(Method::GET, VERIFY_MAIL).header("Accept", BROWSER);
        let page = call.query(&[("verification", given), ("code", given)]).send().await;
        assert_eq!(page.status, 200, "{}", page.text);
        let text = &page.text;
        let count = |tag: &str| text.matches(tag).count();
        let tags = (count("<form"), count("</form>"), count("<input"), count("<script"), count("<!--"));
        assert_eq!(tags, (1, 1, 2, 0, 0), "{text}");
        assert!(!text.contains(" onfocus=\""), "{text}");
        assert_eq!(
            (hidden(&page, "verification"), hidden(&page, "code")),
            (given.to_owned(), given.to_owned())
        );
    }
}

#[tokio::test]
async fn truncated_link_opens_an_error_page() {
    let bundle = Bundle::start().await;
    for query in ["", "?verification=a", "?code=123456", "?verification=&code=123456"] {
        let page = open(&bundle, &format!("{VERIFY_MAIL}{query}"), "en").await;
        assert_eq!(page.status, 400, "{}", page.text);
        assert_eq!(page.text.matches("<form").count(), 0, "{}", page.text);
    }
}

#[tokio::test]
async fn late_or_repeated_button_press_shows_an_error() {
    let bundle = Bundle::start().await;
    let member = without_email(&bundle).await;
    bundle.request_email_code(Some(&member), NEW_EMAIL).await;
    let page = open(&bundle, &link(&bundle), "en").await;
    assert_eq!(press(&bundle, &page, &CookieJar::new(), "en").await.status, 200);
    let english = press(&bundle, &page, &CookieJar::new(), "en").await;
    let chinese = press(&bundle, &page, &CookieJar::new(), "zh-CN").await;
    for (response, language) in [(&english, "en"), (&chinese, "zh-CN")] {
        assert_eq!(response.status, 400, "{}", response.text);
        assert!(response.text.contains(&format!("lang=\"{language}\"")), "{}", response.text);
    }
    assert!(english.text.contains("The code is wrong or has expired."), "{}", english.text);
    assert!(chinese.text.contains("验证码错误或已过期"), "{}", chinese.text);
}

#[tokio::test]
async fn email_of_another_member_is_refused_after_verification() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let other = bundle.other_member().await;
    let requested = bundle.request_email_code(Some(&member), OTHER_EMAIL).await;
    assert_eq!(verify(&bundle, &requested).await.refusal(), (409, "EMAIL_IN_USE"));
    let page = open(&bundle, &link(&bundle), "en").await;
    let response = press(&bundle, &page, &CookieJar::new(), "en").await;
    assert_eq!(response.status, 409);
    assert!(response.text.contains("This mail address is bound to another account."), "{}", response.text);
    assert_eq!(bundle.owner("email#wu@example.com").await, Some(other.id));
    assert_eq!(bundle.inspect(&member).await["email"], EMAIL);
}

#[tokio::test]
async fn recovery_continues_in_the_browser_after_the_button() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let mut jar = CookieJar::new();
    jar.store(&bundle.call(Method::POST, SEND_MAIL).cookies(&jar).form(&[("email", EMAIL)]).await.ok());
    bundle.settled().await;
    let page = open(&bundle, &link(&bundle), "zh-CN").await;
    let done = press(&bundle, &page, &jar, "zh-CN").await;
    assert_eq!(done.status, 200, "{}", done.text);
    jar.store(&done);
    let grant = jar.verification().unwrap();
    assert_eq!(grant.len(), 43);
    assert_eq!(done.cookie(), (grant, "HttpOnly; Secure; SameSite=Lax; Path=/; Max-Age=600"));
    let call = bundle.call(Method::PUT, RECOVERY).cookies(&jar);
    call.form(&[("email", EMAIL), ("passwordFirst", NEW_PASSWORD)]).await.documented(201);
    assert!(bundle.has_password(&member, NEW_PASSWORD).await);
}

#[tokio::test]
async fn page_reports_too_many_changes() {
    let bundle = Bundle::with(&[("CHANGES_PER_HOUR", "1")]).await;
    let member = without_email(&bundle).await;
    bundle.request_email_code(Some(&member), NEW_EMAIL).await;
    let page = open(&bundle, &link(&bundle), "en").await;
    let body = json!({ "payPasswordFirst": PIN });
    bundle.call(Method::PUT, SET_PAY_PASSWORD).session(&member.token).json(&body).await.ok();
    assert_eq!(press(&bundle, &page, &CookieJar::new(), "en").await.status, 429);
}
