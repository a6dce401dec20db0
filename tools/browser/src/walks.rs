//! The walks: every flow of the pages, and what goes wrong in it.

use crate::{
    Failure,
    chrome::Chrome,
    site::{Member, NEW_PASSWORD, NEW_PIN, PASSWORD, PIN, Site},
    tab::Tab,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{future::Future, pin::Pin};
use thirtyfour::Key;

/// A walk in a tab of its own.
type Walk = for<'a> fn(&'a Tab, &'a Site) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + 'a>>;

/// The walks with their names.
macro_rules! walks {
    ($($name:ident),* $(,)?) => {
        [$((stringify!($name), (|tab, site| Box::pin($name(tab, site))) as Walk)),*]
    };
}

/// Runs the walks whose name contains `only`, and returns how many failed.
pub async fn all(
    chrome: &Chrome,
    site: &Site,
    language: &str,
    width: u32,
    only: &str,
) -> Result<usize, Failure> {
    let walks = walks![
        overview,
        known_state,
        password_by_old,
        password_by_sms,
        first_phone,
        replaced_phone,
        email,
        pay_password,
        locked_pay_password,
        pay_password_reset,
        recovery_by_sms,
        recovery_by_mail,
        closing,
        report,
        wrong_code,
        pasted_sms,
        refused_password,
        resend,
        lost_response,
        offline,
        double_click,
        back_button,
        reload,
        second_tab,
        ended_session,
        switched_language,
        well_known_address,
        restored_page,
    ];
    let mut failed = 0;
    for (name, walk) in walks.into_iter().filter(|(name, _)| name.contains(only)) {
        let tab = chrome.open(name, language, width).await?;
        let result = walk(&tab, site).await;
        let result = match result {
            Ok(()) => tab.no_errors().await,
            Err(failure) => {
                let _ = tab
                    .driver
                    .screenshot(format!("target/browser/failed-{name}-{language}-{width}.png").as_ref())
                    .await;
                Err(failure)
            }
        };
        match result {
            Ok(()) => println!("{language} {width} {name}"),
            Err(failure) => {
                println!("{language} {width} {name}: FAILED: {failure}");
                failed += 1;
            }
        }
        tab.close().await?;
    }
    Ok(failed)
}

fn with_session(site: &Site, path: &str, member: &Member) -> String {
    site.address(&format!("{path}#session={}", member.token))
}

/// Creates a member and opens a page with its session.
async fn open(tab: &Tab, site: &Site, path: &str, fields: Value) -> Result<Member, Failure> {
    let member = site.member(fields).await?;
    tab.open(&with_session(site, path, &member)).await?;
    Ok(member)
}

/// Whether the password is the member's, by changing it to itself.
async fn has_password(site: &Site, member: &Member, password: &str) -> Result<bool, Failure> {
    let other = "another-good-password";
    let body = json!({ "oldPassword": password, "newPasswordFirst": other });
    let id = &member.id;
    let fresh = site.call(Method::POST, &format!("/_local/members/{id}/token"), "", &json!({})).await?;
    let token = fresh["token"].as_str().unwrap_or_default();
    let changed = site.call(Method::PUT, "/member/userservice/security", token, &body).await?;
    Ok(changed["code"] == "201")
}

fn expect(expected: &str, is_so: bool) -> Result<(), Failure> {
    if is_so { Ok(()) } else { Err(format!("not so: {expected}").into()) }
}

async fn overview(tab: &Tab, site: &Site) -> Result<(), Failure> {
    open(tab, site, "/account", json!({})).await?;
    tab.shows("[data-view=phone]").await?;
    let address = tab.driver.current_url().await?;
    expect("the address has no session", !address.as_str().contains('#'))?;
    tab.check("overview").await?;
    tab.activate("[data-view=phone]").await?;
    tab.shows("#newPhone").await?;
    tab.activate(".back").await?;
    tab.shows("[data-view=close]").await?;
    let stored = tab
        .evaluate("return sessionStorage.length + localStorage.length + document.cookie.length", Vec::new())
        .await?;
    expect("nothing is stored while the page is in the foreground", stored == 0)
}

/// The state of a member whose phone was replaced and whose pay password is locked.
async fn known_state(tab: &Tab, site: &Site) -> Result<(), Failure> {
    let member = site.member(json!({ "payPassword": PIN })).await?;
    let security = "/member/userservice/security";
    let call = async |method, path: &str, body| {
        site.call(method, &format!("{security}{path}"), &member.token, &body).await
    };
    for _ in 0..5 {
        let wrong = json!({ "oldPassword": "582047", "payPasswordFirst": NEW_PIN });
        call(Method::PUT, "/updatePayPassword", wrong).await?;
    }
    let (phone, _) = site.contacts();
    call(Method::GET, &format!("?phone={phone}"), json!({})).await?;
    let bind = json!({ "phone": phone, "message": site.code(&phone).await?, "password": PASSWORD });
    call(Method::PUT, "/bindingPhone", bind).await?;

    tab.open(&with_session(site, "/account", &member)).await?;
    tab.reads("[data-value=phone]", &format!("{}****{}", &phone[..3], &phone[7..])).await?;
    tab.reads("#notices", ":").await?;
    tab.shows(".events li + li").await?;
    tab.check("overview").await?;
    tab.activate("[data-view=pay-password]").await?;
    tab.shows("form[data-step=update]").await?;
    tab.reads("#pay-lock", ":").await?;
    tab.check("locked").await
}

async fn password_by_old(tab: &Tab, site: &Site) -> Result<(), Failure> {
    let member = open(tab, site, "/account/password", json!({})).await?;
    tab.check("password").await?;
    tab.enter("#oldPassword", PASSWORD).await?;
    tab.enter("#newPassword", NEW_PASSWORD).await?;
    tab.enter("#newPasswordAgain", NEW_PASSWORD).await?;
    tab.submit().await?;
    tab.is_done().await?;
    tab.check("done").await?;
    // The page continues with the new session of the response.
    tab.activate(".back").await?;
    tab.shows("[data-view=phone]").await?;
    tab.reads("[data-value=phone]", "****").await?;
    // This ends the sessions.
    expect("the password is changed", has_password(site, &member, NEW_PASSWORD).await?)
}

async fn password_by_sms(tab: &Tab, site: &Site) -> Result<(), Failure> {
    let member = open(tab, site, "/account/password", json!({})).await?;
    tab.activate("[data-step-link=sms]").await?;
    tab.shows("[data-step=sms]").await?;
    tab.check("sms").await?;
    tab.submit().await?;
    tab.focused("#code").await?;
    tab.check("code").await?;
    tab.enter("#code", &site.code(&member.phone).await?).await?;
    tab.enter("#newPassword", NEW_PASSWORD).await?;
    tab.enter("#newPasswordAgain", NEW_PASSWORD).await?;
    tab.submit().await?;
    tab.is_done().await?;
    expect("the password is changed", has_password(site, &member, NEW_PASSWORD).await?)
}

/// Binds a phone.
async fn bind_phone(tab: &Tab, site: &Site, shot: &str) -> Result<(), Failure> {
    let (phone, _) = site.contacts();
    tab.check(shot).await?;
    tab.enter("#newPhone", &phone).await?;
    tab.submit().await?;
    tab.focused("#code").await?;
    tab.reads(".code-sent", &phone).await?;
    tab.check("code").await?;
    tab.enter("#code", &site.code(&phone).await?).await?;
    tab.submit().await?;
    tab.is_done().await
}

async fn first_phone(tab: &Tab, site: &Site) -> Result<(), Failure> {
    open(tab, site, "/account/phone", json!({ "phone": null })).await?;
    bind_phone(tab, site, "phone").await
}

async fn replaced_phone(tab: &Tab, site: &Site) -> Result<(), Failure> {
    open(tab, site, "/account/phone", json!({})).await?;
    bind_phone(tab, site, "phone").await
}

async fn email(tab: &Tab, site: &Site) -> Result<(), Failure> {
    open(tab, site, "/account/email", json!({})).await?;
    let (_, email) = site.contacts();
    tab.check("email").await?;
    tab.enter("#newEmail", "not an address").await?;
    tab.submit().await?;
    tab.focused("#newEmail[aria-invalid=true]").await?;
    tab.check("invalid").await?;
    tab.enter("#newEmail", &email).await?;
    tab.submit().await?;
    tab.focused("#code").await?;
    tab.enter("#code", &site.code(&email).await?).await?;
    tab.submit().await?;
    tab.is_done().await
}

/// Opens a step of the pay password, from the list or from the link of another step.
async fn open_pay_step(tab: &Tab, step: &str) -> Result<(), Failure> {
    tab.shows("[data-step]").await?;
    let is_shown = format!("return !!document.querySelector('[data-step={step}]')");
    if tab.evaluate(&is_shown, Vec::new()).await? != true {
        tab.activate(&format!("[data-step-link={step}]")).await?;
    }
    tab.shows(&format!("form[data-step={step}]")).await
}

async fn pay_password(tab: &Tab, site: &Site) -> Result<(), Failure> {
    open(tab, site, "/account/pay-password", json!({})).await?;
    tab.shows("[data-step]").await?;
    tab.check("start").await?;
    open_pay_step(tab, "set").await?;
    tab.check("set").await?;
    tab.enter("#newPin", PIN).await?;
    tab.enter("#newPinAgain", NEW_PIN).await?;
    tab.submit().await?;
    tab.focused("#newPinAgain[aria-invalid=true]").await?;
    tab.enter("#newPinAgain", PIN).await?;
    tab.submit().await?;
    tab.is_done().await?;
    tab.activate(".back").await?;
    tab.activate("[data-view=pay-password]").await?;
    open_pay_step(tab, "update").await?;
    tab.check("update").await?;
    tab.enter("#oldPin", PIN).await?;
    tab.enter("#newPin", NEW_PIN).await?;
    tab.enter("#newPinAgain", NEW_PIN).await?;
    tab.submit().await?;
    tab.is_done().await
}

async fn locked_pay_password(tab: &Tab, site: &Site) -> Result<(), Failure> {
    open(tab, site, "/account/pay-password", json!({ "payPassword": PIN })).await?;
    open_pay_step(tab, "update").await?;
    tab.enter("#newPin", "502937").await?;
    tab.enter("#newPinAgain", "502937").await?;
    for attempt in 0..5 {
        tab.enter("#oldPin", NEW_PIN).await?;
        tab.submit().await?;
        tab.focused("#oldPin[aria-invalid=true]").await?;
        if attempt == 0 {
            tab.reads("#oldPin-error", "4").await?;
            tab.check("wrong").await?;
        }
    }
    tab.enter("#oldPin", PIN).await?;
    tab.submit().await?;
    tab.focused("#alert").await?;
    // A clock time.
    tab.reads("#alert", ":").await?;
    tab.check("locked").await
}

async fn pay_password_reset(tab: &Tab, site: &Site) -> Result<(), Failure> {
    let member = open(tab, site, "/account/pay-password", json!({ "payPassword": PIN })).await?;
    open_pay_step(tab, "reset").await?;
    tab.check("reset").await?;
    tab.enter("#ownPhone", &member.phone).await?;
    tab.submit().await?;
    tab.focused("#code").await?;
    tab.check("code").await?;
    tab.enter("#code", &site.code(&member.phone).await?).await?;
    tab.enter("#newPin", NEW_PIN).await?;
    tab.enter("#newPinAgain", NEW_PIN).await?;
    tab.submit().await?;
    tab.is_done().await
}

/// Recovers the password by this contact.
async fn recover(tab: &Tab, site: &Site, contact: &str) -> Result<(), Failure> {
    tab.enter("#contact", contact).await?;
    tab.submit().await?;
    tab.focused("#code").await?;
    tab.check("code").await?;
    tab.enter("#code", &site.code(contact).await?).await?;
    tab.submit().await?;
    tab.shows("#newPassword").await?;
    tab.check("password").await?;
    tab.enter("#newPassword", NEW_PASSWORD).await?;
    tab.enter("#newPasswordAgain", NEW_PASSWORD).await?;
    tab.submit().await?;
    tab.is_done().await?;
    tab.check("done").await
}

async fn recovery_by_sms(tab: &Tab, site: &Site) -> Result<(), Failure> {
    let member = site.member(json!({})).await?;
    tab.open(&site.address("/account/recover")).await?;
    tab.check("recover").await?;
    recover(tab, site, &member.phone).await?;
    expect("the password is recovered", has_password(site, &member, NEW_PASSWORD).await?)
}

async fn recovery_by_mail(tab: &Tab, site: &Site) -> Result<(), Failure> {
    let member = site.member(json!({})).await?;
    tab.open(&site.address("/account/recover")).await?;
    recover(tab, site, &member.email).await?;
    expect("the password is recovered", has_password(site, &member, NEW_PASSWORD).await?)
}

async fn closing(tab: &Tab, site: &Site) -> Result<(), Failure> {
    open(tab, site, "/account/close", json!({})).await?;
    tab.shows(".conditions").await?;
    tab.check("close").await?;
    tab.activate("[data-step-link=contact]").await?;
    tab.shows("#ownContact").await?;
    tab.check("code").await?;
    tab.activate("[data-step-link=password]").await?;
    tab.enter("#password", PASSWORD).await?;
    tab.submit().await?;
    tab.is_done().await?;
    tab.check("closed").await
}

async fn report(tab: &Tab, site: &Site) -> Result<(), Failure> {
    let member = site.member(json!({})).await?;
    let body = json!({ "oldPassword": PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    site.call(Method::PUT, "/member/userservice/security", &member.token, &body).await?;
    let link = site.report_link(&member.email).await?;
    tab.open(&site.address("/account/not-me")).await?;
    tab.check("report").await?;
    tab.paste("#link", &link).await?;
    tab.submit().await?;
    tab.is_done().await?;
    tab.check("done").await
}

async fn wrong_code(tab: &Tab, site: &Site) -> Result<(), Failure> {
    let member = site.member(json!({})).await?;
    tab.open(&site.address("/account/recover")).await?;
    tab.submit().await?;
    tab.focused("#contact[aria-invalid=true]").await?;
    tab.check("empty").await?;
    tab.enter("#contact", &member.phone).await?;
    tab.submit().await?;
    tab.focused("#code").await?;
    let code = site.code(&member.phone).await?;
    let wrong = if code.starts_with('1') { "222222" } else { "111111" };
    tab.enter("#code", wrong).await?;
    tab.submit().await?;
    tab.focused("#code[aria-invalid=true]").await?;
    tab.reads("#code-error", "4").await?;
    tab.check("wrong").await?;
    // Full-width digits, as an input method types them.
    let full_width: String =
        code.chars().filter_map(|digit| char::from_u32(u32::from(digit) + 0xFEE0)).collect();
    tab.enter("#code", &full_width).await?;
    tab.submit().await?;
    tab.shows("#newPassword").await
}

async fn pasted_sms(tab: &Tab, site: &Site) -> Result<(), Failure> {
    let member = site.member(json!({})).await?;
    tab.open(&site.address("/account/recover")).await?;
    tab.enter("#contact", &member.phone).await?;
    tab.submit().await?;
    tab.focused("#code").await?;
    tab.paste("#code", &site.text_with_code(&member.phone).await?).await?;
    let code = site.code(&member.phone).await?;
    tab.until(
        "the field has only the code",
        "return document.getElementById('code').value === arguments[0]",
        vec![code.into()],
    )
    .await?;
    tab.submit().await?;
    tab.shows("#newPassword").await
}

async fn refused_password(tab: &Tab, site: &Site) -> Result<(), Failure> {
    open(tab, site, "/account/password", json!({})).await?;
    for (old, new, again, invalid) in [
        ("", "", "", "#oldPassword"),
        (PASSWORD, "12345678", "12345678", "#newPassword"),
        (PASSWORD, NEW_PASSWORD, "12345678", "#newPasswordAgain"),
        ("a-wrong-password", NEW_PASSWORD, NEW_PASSWORD, "#oldPassword"),
    ] {
        tab.enter("#oldPassword", old).await?;
        tab.enter("#newPassword", new).await?;
        tab.enter("#newPasswordAgain", again).await?;
        tab.submit().await?;
        tab.focused(&format!("{invalid}[aria-invalid=true]")).await?;
    }
    tab.check("wrong").await?;
    tab.activate("#oldPassword + button").await?;
    let kind = tab.evaluate("return document.getElementById('oldPassword').type", Vec::new()).await?;
    expect("the password is revealed", kind == "text")?;
    tab.check("revealed").await
}

async fn resend(tab: &Tab, site: &Site) -> Result<(), Failure> {
    let member = site.member(json!({})).await?;
    tab.open(&site.address("/account/recover")).await?;
    tab.enter("#contact", &member.phone).await?;
    tab.submit().await?;
    tab.shows(".resend[aria-disabled=true]").await?;
    tab.activate(".resend").await?;
    site.code(&member.phone).await?;
    expect("one code was sent", site.received(&member.phone) == 1)?;
    tab.shows(".resend[aria-disabled=false]").await?;
    tab.activate(".resend").await?;
    tab.focused("#code").await?;
    tab.shows(".resend[aria-disabled=true]").await?;
    tab.until(
        "the status announces the code",
        "return document.getElementById('status').textContent.length > 4",
        Vec::new(),
    )
    .await?;
    let start = std::time::Instant::now();
    while site.received(&member.phone) < 2 {
        expect("a second code arrives", start.elapsed().as_secs() < 10)?;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    tab.enter("#code", &site.code(&member.phone).await?).await?;
    tab.submit().await?;
    tab.shows("#newPassword").await
}

/// Fills in the form that changes the password.
async fn fill_in_passwords(tab: &Tab) -> Result<(), Failure> {
    tab.enter("#oldPassword", PASSWORD).await?;
    tab.enter("#newPassword", NEW_PASSWORD).await?;
    tab.enter("#newPasswordAgain", NEW_PASSWORD).await
}

async fn lost_response(tab: &Tab, site: &Site) -> Result<(), Failure> {
    tab.can_lose_responses().await?;
    let member = open(tab, site, "/account/password", json!({})).await?;
    fill_in_passwords(tab).await?;
    tab.lose_next_response().await?;
    tab.submit().await?;
    tab.focused("#alert").await?;
    tab.check("lost").await?;
    expect("the change was made", site.changes(&member).await? == 1)?;
    tab.submit().await?;
    tab.is_done().await?;
    expect("the change was made once", site.changes(&member).await? == 1)?;
    tab.activate(".back").await?;
    tab.shows("[data-view=phone]").await
}

async fn offline(tab: &Tab, site: &Site) -> Result<(), Failure> {
    let member = open(tab, site, "/account/password", json!({})).await?;
    fill_in_passwords(tab).await?;
    tab.set_offline(true).await?;
    tab.submit().await?;
    tab.focused("#alert").await?;
    tab.check("offline").await?;
    expect("nothing was changed", site.changes(&member).await? == 0)?;
    tab.set_offline(false).await?;
    tab.submit().await?;
    tab.is_done().await?;
    expect("the change was made once", site.changes(&member).await? == 1)
}

async fn double_click(tab: &Tab, site: &Site) -> Result<(), Failure> {
    tab.can_lose_responses().await?;
    let member = open(tab, site, "/account/password", json!({})).await?;
    fill_in_passwords(tab).await?;
    let before = tab.calls().await?;
    let button = tab.driver.find(thirtyfour::By::Css("form [type=submit]")).await?;
    tab.driver.action_chain().double_click_element(&button).perform().await?;
    tab.is_done().await?;
    expect("one call was made", tab.calls().await? == before + 1)?;
    expect("the change was made once", site.changes(&member).await? == 1)
}

async fn back_button(tab: &Tab, site: &Site) -> Result<(), Failure> {
    let member = open(tab, site, "/account/pay-password", json!({ "payPassword": PIN })).await?;
    open_pay_step(tab, "reset").await?;
    tab.enter("#ownPhone", &member.phone).await?;
    tab.submit().await?;
    tab.focused("#code").await?;
    tab.driver.back().await?;
    tab.shows("#ownPhone").await?;
    let kept = tab.evaluate("return document.getElementById('ownPhone').value", Vec::new()).await?;
    expect("the phone is still there", kept == member.phone.as_str())?;
    tab.driver.forward().await?;
    tab.shows("#code").await?;
    tab.enter("#code", &site.code(&member.phone).await?).await?;
    tab.enter("#newPin", NEW_PIN).await?;
    tab.enter("#newPinAgain", NEW_PIN).await?;
    tab.submit().await?;
    tab.is_done().await?;
    // The code is consumed: the step before leads to the start, without what was typed.
    tab.driver.back().await?;
    tab.shows("h1").await?;
    let code = tab.evaluate("return !!document.getElementById('code')", Vec::new()).await?;
    expect("the code step is gone", code == false)
}

async fn reload(tab: &Tab, site: &Site) -> Result<(), Failure> {
    let member = open(tab, site, "/account/phone", json!({})).await?;
    tab.driver.refresh().await?;
    tab.shows("#newPhone").await?;
    tab.open(&site.address("/account/recover")).await?;
    tab.enter("#contact", &member.phone).await?;
    tab.submit().await?;
    tab.focused("#code").await?;
    // The app that shows the SMS may push the page out of memory.
    tab.driver.refresh().await?;
    tab.shows("#code").await?;
    tab.enter("#code", &site.code(&member.phone).await?).await?;
    tab.submit().await?;
    tab.shows("#newPassword").await?;
    tab.driver.refresh().await?;
    tab.enter("#newPassword", NEW_PASSWORD).await?;
    tab.enter("#newPasswordAgain", NEW_PASSWORD).await?;
    tab.submit().await?;
    tab.is_done().await?;
    expect("the password is recovered", has_password(site, &member, NEW_PASSWORD).await?)
}

async fn second_tab(tab: &Tab, site: &Site) -> Result<(), Failure> {
    let member = open(tab, site, "/account", json!({})).await?;
    let first = tab.driver.window().await?;
    let second = tab.driver.new_tab().await?;
    tab.driver.switch_to_window(second).await?;
    tab.open(&site.address("/account/password")).await?;
    tab.until(
        "a tab of its own has no session",
        "return document.documentElement.dataset.view === 'signed-out'",
        Vec::new(),
    )
    .await?;
    tab.open(&with_session(site, "/account/password", &member)).await?;
    fill_in_passwords(tab).await?;
    tab.submit().await?;
    tab.is_done().await?;
    tab.driver.switch_to_window(first).await?;
    tab.activate("[data-view=password]").await?;
    tab.enter("#oldPassword", NEW_PASSWORD).await?;
    tab.enter("#newPassword", PASSWORD).await?;
    tab.enter("#newPasswordAgain", PASSWORD).await?;
    tab.submit().await?;
    tab.until(
        "the session has ended",
        "return document.documentElement.dataset.view === 'signed-out'",
        Vec::new(),
    )
    .await?;
    tab.check("ended").await
}

async fn ended_session(tab: &Tab, site: &Site) -> Result<(), Failure> {
    tab.open(&site.address("/account#session=not.a.session")).await?;
    tab.shows("h1").await?;
    tab.open(&site.address("/account/email#session=not.a.session")).await?;
    tab.enter("#newEmail", "someone@example.com").await?;
    tab.submit().await?;
    tab.until(
        "the session is refused",
        "return document.documentElement.dataset.view === 'signed-out'",
        Vec::new(),
    )
    .await?;
    tab.activate("[data-view=recover]").await?;
    tab.shows("#contact").await
}

async fn switched_language(tab: &Tab, site: &Site) -> Result<(), Failure> {
    open(tab, site, "/account/phone", json!({})).await?;
    let before = tab.evaluate("return document.documentElement.lang", Vec::new()).await?;
    tab.activate("#language").await?;
    let after = tab.evaluate("return document.documentElement.lang", Vec::new()).await?;
    expect("the language is another", before != after)?;
    tab.driver.refresh().await?;
    tab.shows("#newPhone").await?;
    let kept = tab.evaluate("return document.documentElement.lang", Vec::new()).await?;
    expect("a reload keeps the language", kept == after)?;
    tab.activate("#language").await?;
    tab.check("switched").await
}

async fn well_known_address(tab: &Tab, site: &Site) -> Result<(), Failure> {
    tab.driver.goto(site.address("/.well-known/change-password")).await?;
    tab.shows("h1").await?;
    let path = tab.driver.current_url().await?.path().to_owned();
    expect("the address leads to the password", path == "/account/password")
}

async fn restored_page(tab: &Tab, site: &Site) -> Result<(), Failure> {
    open(tab, site, "/account/password", json!({})).await?;
    fill_in_passwords(tab).await?;
    // A browser that keeps whole pages fires this event when the person returns to one.
    tab.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))", Vec::new())
        .await?;
    tab.shows("#oldPassword").await?;
    let typed = tab.evaluate("return document.getElementById('oldPassword').value", Vec::new()).await?;
    expect("the passwords are gone", typed == "")?;
    fill_in_passwords(tab).await?;
    tab.press(Key::Enter).await?;
    tab.is_done().await
}
