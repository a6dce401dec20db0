//! The text that the stack prints when it starts.

/// A member to try the calls with.
#[derive(Clone, Debug)]
pub struct DemoMember {
    /// The member's id.
    pub id: String,
    /// A session token of the member.
    pub token: String,
    /// The member's phone, unless the member has none any more.
    pub phone: Option<String>,
}

/// Returns the stack's URL, and three calls, ready to paste into a shell, that change the password of the demo member,
/// or the reason why that member could not be created.
#[must_use]
pub fn welcome(url: &str, demo: &Result<DemoMember, shared::Error>) -> String {
    let demo = match demo {
        Ok(DemoMember { id, token, phone }) => {
            let phone = phone.as_deref().unwrap_or("none");
            let calls = calls(url);
            format!(
                "  A member to try it with: {id}, phone {phone}. The member's account page:

  {url}/account#session={token}

  These lines request a code and change the password:

TOKEN='{token}'
{calls}"
            )
        }
        Err(error) => format!(
            "  There is no demo member: {error}. Create a member with POST {url}/_local/members.
"
        ),
    };
    format!(
        "
  Listening on {url}

{demo}
  SMS and email are not sent. They appear here and at {url}/_local/messages
"
    )
}

/// Returns the three calls, for a shell in which `TOKEN` is a session token.
#[must_use]
pub fn calls(url: &str) -> String {
    format!(
        r#"PHONE_INFO=$(curl -sw '\n' -X POST {url}/v1/user/sendChangePasswordMessage -H "Authorization: Bearer $TOKEN" | tee /dev/stderr | grep -o '"result":"[^"]*' | cut -d'"' -f4)
CODE=$(curl -sw '\n' {url}/_local/messages | tee /dev/stderr | grep -o '"code":"[^"]*' | head -n 1 | cut -d'"' -f4)
curl -sw '\n' -X POST {url}/v1/user/changePasswordByMessage -H "Authorization: Bearer $TOKEN" --data-urlencode "phoneInfo=$PHONE_INFO" -d "code=$CODE" -d newPassword=026129
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn welcome_has_the_calls_and_the_token() {
        let demo = DemoMember {
            id: "the-id".to_owned(),
            token: "the-token".to_owned(),
            phone: Some("+8613627140483".to_owned()),
        };
        let text = welcome("http://127.0.0.1:3000", &Ok(demo));
        assert_eq!(text.matches("curl -sw").count(), 3);
        assert!(text.contains("http://127.0.0.1:3000/account#session=the-token\n"), "{text}");
        assert!(text.contains("TOKEN='the-token'") && text.contains("phone +8613627140483."), "{text}");
    }

    #[test]
    fn welcome_explains_a_missing_demo_member() {
        let text = welcome("http://127.0.0.1:3000", &Err(shared::Error::PhoneInUse));
        assert!(text.contains("Listening on http://127.0.0.1:3000"), "{text}");
        assert!(text.contains("There is no demo member: the phone belongs to another member."), "{text}");
        assert!(!text.contains("TOKEN"), "{text}");
    }
}
