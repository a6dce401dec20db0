//! The cookies of a request, which are read as bytes.

use crate::Secret;

/// Returns the value of the cookie `name` from the `Cookie` fields of a request. It is read as RFC 6265, 5.2 reads
/// what a server sets: the pairs of every field are separated by semicolons, the first `=` ends the name, and
/// spaces and tabs around both are removed. Quotation marks around the value are not part of it (RFC 6265, 4.1.1).
///
/// Every value that a response sets consists of visible ASCII characters. A pair with another value is skipped, and so
/// is an empty one. Bytes of other cookies do not matter.
pub fn find<'a>(fields: impl IntoIterator<Item = &'a [u8]>, name: &str) -> Option<Secret> {
    let mut pairs = fields.into_iter().flat_map(|field| field.split(|&byte| byte == b';'));
    pairs.find_map(|pair| value(pair, name.as_bytes())).map(Secret::from)
}

/// Returns the value of a pair of this name.
fn value<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let equals = pair.iter().position(|&byte| byte == b'=')?;
    let (before, after) = pair.split_at_checked(equals)?;
    let value = unquoted(trimmed(after.strip_prefix(b"=")?));
    let is_named = trimmed(before) == name;
    let is_value = !value.is_empty() && value.iter().all(u8::is_ascii_graphic);
    std::str::from_utf8(value).ok().filter(|_| is_named && is_value)
}

/// Removes spaces and tabs, the only white space of a field (RFC 9110, 5.6.3). A line end is not part of any.
fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ExposeSecret;
    use proptest::prelude::*;

    fn read(fields: &[&[u8]]) -> Option<String> {
        find(fields.iter().copied(), "verification").map(|value| value.expose_secret().to_owned())
    }

    #[test]
    fn cookie_is_read_as_clients_send_it() {
        let fields: [&[&[u8]]; 22] = [
            &[b"verification=a.b+c/d"],
            &[b"theme=dark; verification=a.b+c/d; visits=7"],
            // No space after the semicolon, several, or a tab.
            &[b"theme=dark;verification=a.b+c/d;visits=7"],
            &[b"theme=dark;   verification=a.b+c/d"],
            &[b"theme=dark;\tverification = a.b+c/d\t"],
            // Quotation marks: Java's and Python's cookie jars, and RFC 2109.
            &[b"verification=\"a.b+c/d\""],
            &[b"$Version=\"1\"; verification=\"a.b+c/d\"; $Path=\"/\""],
            // HTTP/2 sends each cookie in a field of its own.
            &[b"theme=dark", b"verification=a.b+c/d"],
            &[b"verification=a.b+c/d", b"theme=dark"],
            &[b"", b";", b"verification=a.b+c/d;"],
            // Another cookie in UTF-8, in GBK, in Latin-1, and with a control character.
            &["名字=李雷; verification=a.b+c/d".as_bytes()],
            &[b"name=\xc0\xee\xc0\xd7; verification=a.b+c/d"],
            &[b"name=Zo\xe9; verification=a.b+c/d; \xff"],
            &[b"name=\x7f\x01; verification=a.b+c/d"],
            &["名字=李雷".as_bytes(), b"verification=a.b+c/d"],
            // Pairs without a name or a value, and JSON in another cookie.
            &[b"HttpOnly; =; ==; verification; verification=; verification=a.b+c/d"],
            &[b"cart={\"id\": 1, \"n\": \"verification\"}; verification=a.b+c/d"],
            // A mini program that sends back the whole Set-Cookie.
            &[b"verification=a.b+c/d; HttpOnly; Secure; SameSite=Lax; Path=/; Max-Age=300"],
            // Other names.
            &[b"Verification=x; verification2=x; xverification=x; verification=a.b+c/d"],
            // Values of another application.
            &["verification=验证; verification=a.b+c/d".as_bytes()],
            &[b"verification=\xd1\xe9; verification=\"\"; verification=a b; verification=a.b+c/d"],
            // The first of several.
            &[b"verification=a.b+c/d; verification=other", b"verification=another"],
        ];
        for fields in fields {
            let shown: Vec<_> = fields.iter().map(|field| String::from_utf8_lossy(field)).collect();
            assert_eq!(read(fields).as_deref(), Some("a.b+c/d"), "{shown:?}");
        }
    }

    #[test]
    fn only_the_first_equals_sign_ends_the_name() {
        assert_eq!(read(&[b"verification=YQ=="]).as_deref(), Some("YQ=="));
        assert_eq!(read(&[b"verification=\"YQ==\""]).as_deref(), Some("YQ=="));
        assert_eq!(read(&[b"a=verification=b"]), None);
        // One quotation mark is part of the value.
        assert_eq!(read(&[b"verification=\"a"]).as_deref(), Some("\"a"));
        assert_eq!(read(&[b"verification=\""]).as_deref(), Some("\""));
    }

    #[test]
    fn request_without_the_cookie_has_none() {
        let fields: [&[&[u8]]; 6] =
            [&[], &[b""], &[b"theme=dark"], &[b"verification"], &[b"verification="], &[b"VERIFICATION=a"]];
        for fields in fields {
            assert_eq!(read(fields), None, "{fields:?}");
        }
    }

    #[test]
    fn line_end_is_part_of_no_value() {
        for pair in
            [&b"verification=\na"[..], b"verification=a\r", b"verification\x0c=a", b"\rverification=a"]
        {
            assert_eq!(read(&[pair, b"verification=b"]).as_deref(), Some("b"), "{pair:?}");
        }
    }

    proptest! {
        #[test]
        fn printed_cookie_parses_to_itself(
            value in "[!#-+\\--:<-\\[\\]-~]{1,64}",
            before in proptest::collection::vec(any::<u8>(), 0..64),
            quoted in any::<bool>(),
        ) {
            // Another cookie has another name, and no semicolon.
            let other: Vec<u8> = before.into_iter().filter(|byte| *byte != b';').collect();
            let printed = if quoted { format!("verification=\"{value}\"") } else { format!("verification={value}") };
            let one = [b"x", other.as_slice(), b"; ", printed.as_bytes()].concat();
            prop_assert_eq!(read(&[&one]), Some(value.clone()));
            prop_assert_eq!(read(&[&other, printed.as_bytes(), b"\xff"]), Some(value));
        }

        #[test]
        fn arbitrary_fields_yield_visible_ascii(fields in proptest::collection::vec(any::<Vec<u8>>(), 0..4)) {
            let fields: Vec<_> = fields.iter().map(Vec::as_slice).collect();
            if let Some(value) = read(&fields) {
                prop_assert!(!value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic()), "{value}");
            }
        }
    }
}
