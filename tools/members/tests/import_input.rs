//! `members import`, with what other systems and spreadsheets really write.

use std::{fmt::Write, fs};

use serde_json::json;

use crate::operator::{Operator, PHONE};

const ID: &str = "6f1a6e4c-5a0e-4a7a-9a39-1d3a5f0f6c11";
const OTHER_ID: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
const NAMESPACE: &str = "5a0f3c1e-8f5b-4d7c-9a51-0c2d1b7e6f42";

/// Imports a file of which every line is refused. Asserts the reason of each, in their order.
async fn assert_refused(operator: &Operator, name: &str, text: &str, reasons: &[&str]) {
    operator.file(name, text);
    for arguments in [&["--dry-run"][..], &[]] {
        let arguments = [&["--json", "import", name, "--namespace", NAMESPACE], arguments].concat();
        let done = operator.run(&arguments).await;
        assert_eq!((done.code, &done.json()["imported"]), (1, &json!(0)), "{}", done.err);
        let found: Vec<_> = done.err.lines().collect();
        assert_eq!(found, reasons, "{text}");
    }
    assert!(operator.items().await.iter().all(|item| item["sk"]["S"] != "member"), "{text}");
}

#[tokio::test]
async fn ids_keep_the_digits_as_written() {
    let operator = Operator::start("digits").await;
    let numbers = ["7", "18446744073709551615", "18446744073709551616", "18446744073709551617"];
    let large =
        ["100000000000000000001", "100000000000000000002", "1000000000000000000000000000000000000001"];
    let line = |id: &str| format!("{{\"id\":{id}}}\n");
    let texts = ["\"007\"", "\"07\"", "\"-7\"", "\"7e5\""];
    let lines: String = numbers.iter().chain(&large).chain(&texts).map(|id| line(id)).collect();
    operator.file("members.jsonl", &lines);
    let import = ["import", "members.jsonl", "--namespace", NAMESPACE];
    assert_eq!(operator.json(&import).await["imported"], 11);
    // A number is the same id as its digits in quotation marks, or in CSV.
    let same = [&numbers[..], &large, &["007", "07", "-7", "7e5", ""]].concat().join("\n");
    operator.file("members.csv", &format!("id\n{same}"));
    assert_eq!(operator.json(&["import", "members.csv", "--namespace", NAMESPACE]).await["skipped"], 11);
    let quoted = large.iter().map(|id| line(&format!("\"{id}\"")));
    operator.file("quoted.jsonl", &quoted.collect::<String>());
    assert_eq!(operator.json(&["import", "quoted.jsonl", "--namespace", NAMESPACE]).await["skipped"], 3);
}

#[tokio::test]
async fn rewritten_numbers_are_refused_with_a_remedy() {
    let operator = Operator::start("rewritten").await;
    let rewritten =
        "a number in scientific or decimal form, whose digits can be lost; export the column as text";
    let number = "a number that is not written in digits only; write it as a string";
    let csv = format!(
        "id,phone\n\"1.36E+10\",\n1e+21,\n1.0,\n-0,\n{ID},\"1.36E+10\"\n{ID},8.61363E+12\n{ID},13627140483.0\n\
         NULL,\n\u{200b}7,\n=\"007\",\n"
    );
    let reasons = [
        format!("line 2, id: {rewritten}"),
        format!("line 3, id: {rewritten}"),
        format!("line 4, id: {rewritten}"),
        format!("line 5, id: {rewritten}"),
        format!("line 6, phone: {rewritten}"),
        format!("line 7, phone: {rewritten}"),
        format!("line 8, phone: {rewritten}"),
        "line 9, id: a placeholder for an absent id".to_owned(),
        "line 10, id: contains an invisible or a replacement character".to_owned(),
    ];
    let reasons: Vec<_> = reasons.iter().map(String::as_str).collect();
    let (csv, _) = csv.rsplit_once("=\"007\"").unwrap();
    assert_refused(&operator, "members.csv", csv, &reasons).await;
    operator.file("formula.csv", "id\n=\"007\"\n");
    let formula = operator.run(&["import", "formula.csv", "--namespace", NAMESPACE]).await;
    assert!(formula.err.contains("line 2, id: a spreadsheet's form of a text"), "{}", formula.err);

    let json = "{\"id\":1e21}\n{\"id\":1.0}\n{\"id\":-0}\n{\"id\":7,\"phone\":1.362714e10}\n\
                {\"id\":7,\"created_at\":1700000000.5}\n{\"id\":007}\n{\"id\":\"1\",\"id\":\"2\"}\n\
                {\"id\":\"\\ud83d\"}\n";
    let reasons = [
        format!("line 1, id: {number}"),
        format!("line 2, id: {number}"),
        format!("line 3, id: {number}"),
        format!("line 4, phone: {number}"),
        format!("line 5, created_at: {number}"),
        "line 6, line: not a JSON object".to_owned(),
        "line 7, id: occurs twice".to_owned(),
        "line 8, id: contains half a surrogate pair".to_owned(),
    ];
    let reasons: Vec<_> = reasons.iter().map(String::as_str).collect();
    assert_refused(&operator, "members.jsonl", json, &reasons).await;
    // The rejects file has each number as it was written.
    let errors = operator.text("members.jsonl.errors");
    assert!(errors.starts_with("{\"id\":1e21,\"error\":\"id: a number"), "{errors}");
}

#[tokio::test]
async fn repeated_id_is_refused_wherever_it_is() {
    let operator = Operator::start("repeated").await;
    // A spreadsheet has 15 digits, so it has rounded two ids to one.
    let ids = (0..100).map(|number| format!("{}\n", 9_000 + number));
    operator.file(
        "members.csv",
        &format!("id\n1234567890123450000\n{}1234567890123450000\n", ids.collect::<String>()),
    );
    for dry in [&["--dry-run"][..], &[]] {
        let arguments = [&["--json", "import", "members.csv", "--namespace", NAMESPACE], dry].concat();
        let done = operator.run(&arguments).await;
        let summary = done.json();
        assert_eq!((done.code, &summary["imported"], &summary["refused"]), (1, &json!(101), &json!(1)));
        assert!(done.err.contains("id: occurs on another line"), "{}", done.err);
    }
}

#[tokio::test]
async fn file_in_another_format_is_refused() {
    let operator = Operator::start("formats").await;
    let text = format!("id,phone\r\n{ID},{PHONE}\r\n");
    let units = || text.encode_utf16();
    let little: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
    let array = format!("\u{feff} [\n{{\"id\":\"{ID}\"}}\n]\n");
    for (name, bytes, expected) in [
        ("little.csv", [b"\xff\xfe", &*little].concat(), "little.csv is UTF-16; save it as UTF-8"),
        ("big.csv", [b"\xfe\xff", &*big].concat(), "big.csv is UTF-16; save it as UTF-8"),
        ("unmarked.csv", little, "unmarked.csv is UTF-16; save it as UTF-8"),
        ("big.jsonl", [b"\xfe\xff", &*big].concat(), "big.jsonl is UTF-16; save it as UTF-8"),
        ("members.xlsx", b"PK\x03\x04".to_vec(), "export it as CSV in UTF-8"),
        ("members.xls", b"\xd0\xcf\x11\xe0".to_vec(), "export it as CSV in UTF-8"),
        ("members.csv.gz", b"\x1f\x8b\x08".to_vec(), "decompress it"),
        ("array.json", array.into_bytes(), "write an object per line"),
        ("semicolons.csv", b"id;\"phone\"\n7;\n".to_vec(), "separate them by commas"),
        ("tabs.csv", b"id\tphone\n7\t\n".to_vec(), "separate them by commas"),
        ("twice.csv", b"id,phone,id\n".to_vec(), "line 1: field \"id\" occurs twice"),
    ] {
        fs::write(operator.folder.join(name), bytes).unwrap();
        let refused = operator.run(&["import", name]).await;
        assert!(refused.code == 2 && refused.err.contains(expected), "{name}: {}", refused.err);
    }
    // 张 in GBK, in one line of a file.
    for (name, bytes) in [
        ("gbk.csv", [b"id,password_salt\r\n7,\xd5\xc5\r\n", ID.as_bytes(), b",\r\n"].concat()),
        ("gbk.jsonl", [b"{\"id\":\"\xd5\xc5\"}\r\n{\"id\":\"", ID.as_bytes(), b"\"}\r\n"].concat()),
    ] {
        fs::write(operator.folder.join(name), bytes).unwrap();
        let done = operator.run(&["import", name]).await;
        assert!(done.err.contains("line: not UTF-8; save the file as UTF-8"), "{}", done.err);
        assert!(done.out.contains("1 rejected"), "{}", done.out);
    }
}

#[tokio::test]
async fn implausible_times_are_refused_by_field() {
    let operator = Operator::start("times").await;
    let mut csv = "id,created_at,cooling_since\n".to_owned();
    let mut reasons = Vec::new();
    for (number, (time, reason)) in [
        ("1700000000000", "in milliseconds, not seconds; divide it by 1000"),
        ("1700000000000000", "in microseconds, not seconds; divide it by 1000000"),
        ("4102444800", "later than now"),
        ("0", "before 2000; leave it empty if it is not known"),
        ("2023-11-14T22:13:20Z", "not a number of seconds since 1970"),
    ]
    .into_iter()
    .enumerate()
    {
        write!(csv, "{number}0,{time},\n{number}1,1700000000,{time}\n").unwrap();
        let line = 2 * number + 2;
        reasons.push(format!("line {line}, created_at: {reason}"));
        reasons.push(format!("line {}, cooling_since: {reason}", line + 1));
    }
    let shown: Vec<_> = reasons.iter().map(String::as_str).collect();
    assert_refused(&operator, "members.csv", &csv, &shown).await;
    let lines = "{\"id\":1,\"created_at\":1700000000000}\n{\"id\":2,\"cooling_since\":\"1700000000000\"}\n";
    let reason = "in milliseconds, not seconds; divide it by 1000";
    let shown = [format!("line 1, created_at: {reason}"), format!("line 2, cooling_since: {reason}")];
    assert_refused(&operator, "members.jsonl", lines, &[&shown[0], &shown[1]]).await;
}

#[tokio::test]
async fn prefixed_hashes_are_read_or_refused() {
    let operator = Operator::start("prefixed").await;
    let recovers = "is not verified; leave the field empty, so that the member recovers the password";
    let mut csv = "id,password\n".to_owned();
    let mut reasons = Vec::new();
    for (number, (hash, reason)) in [
        ("{noop}the-old-password", "a plaintext, not a hash; hash it first, such as with bcrypt".to_owned()),
        ("{SSHA}XCOYQ+rUXIEGuTHG/TC34oiik0b/AIABAgME/g==", format!("SHA-1 {recovers}")),
        (
            "{pbkdf2}5d923b44a6d129f3ddf3e3c8d29412723dcbde72445e8ef6bf3b508fbf17fa4ed4d6b99ca763d8dc",
            format!("PBKDF2 with SHA-1 {recovers}"),
        ),
        ("{CRYPT}ab01FAX.bQRSU", format!("this form of crypt {recovers}")),
        ("{bcrypt}the-old-password", "not a password hash of a known form".to_owned()),
    ]
    .into_iter()
    .enumerate()
    {
        writeln!(csv, "{number},{hash}").unwrap();
        reasons.push(format!("line {}, password: {reason}", number + 2));
    }
    let shown: Vec<_> = reasons.iter().map(String::as_str).collect();
    assert_refused(&operator, "refused.csv", &csv, &shown).await;

    let hashes = [
        "{bcrypt}$2a$04$x1mdGEW6GjhvyC81qw5urOy7c9JUUJf2y9.q3/aqTYK2N98v9iFpq",
        "{CRYPT}$2y$04$DLmexmu0PkJnBSzW6xflh.KybKF6xW0iLu6Q5urykgQJ/cyr7tZWm",
        "{argon2}$argon2id$v=19$m=1024,t=1,p=1$eJie+PYGSlugrgpHEu1O/w$jHkoMC8W8MvFX0eHbMMVTs+262A/slTbW0eZdPKZwSg",
        "{MD5}{seasalt2026}2e5061a69b70a1059151b853c81aef95",
        "{SHA-256}c2f61b2fcd185cdf17d1ac8140a13eee0942ad076773cd49121a52163b3ff71e",
        "{SSHA256}vsGnP6g/a0LxYAMpWZYKOXYnEKHI+8paZ17Lk2NNX1z/AIABAgME/g==",
    ];
    let line = |(number, hash)| {
        json!({ "id": number, "phone": 13_627_140_480_u64 + number, "password": hash }).to_string() + "\n"
    };
    operator.file("members.jsonl", &(0..).zip(hashes).map(line).collect::<String>());
    let import = ["import", "members.jsonl", "--namespace", NAMESPACE];
    assert_eq!(operator.json(&import).await["imported"], 6);
    let update = ["import", "members.jsonl", "--namespace", NAMESPACE, "--existing", "update"];
    assert_eq!(operator.json(&update).await["skipped"], 6, "the hashes are the same");
    for number in 0..6_u64 {
        let token = operator.session(&(13_627_140_480 + number).to_string()).await;
        assert_eq!(operator.change(&token, "another-password", "a-new-password").await.0, 400);
        let (status, changed) = operator.change(&token, "the-old-password", "a-new-password").await;
        assert_eq!(status, 201, "{number} {changed}");
    }
}

#[tokio::test]
async fn mailbox_in_two_spellings_has_one_owner() {
    let operator = Operator::start("spellings").await;
    operator.member(json!({ "email": "Sun.Li@bücher.example" })).await;
    let header = "id,phone,email,email_verified\n";
    let refused = format!(
        "{header}{ID},,sun.li@BÜCHER.example,1\n{OTHER_ID},,SUN.LI@xn--bcher-kva.example,1\n\
         3,010-1234-5678,,\n4,400-123-4567,,\n5,+85221234567,,\n6,,用户@example.com,1\n"
    );
    operator.file("refused.csv", &refused);
    let taken = "email: belongs to another member";
    let phone = "phone: not an allowed phone number";
    let email = "email: not an email address";
    for dry in [&["--dry-run"][..], &[]] {
        let arguments = [&["import", "refused.csv", "--namespace", NAMESPACE], dry].concat();
        let done = operator.run(&arguments).await;
        for (line, reason) in [taken, taken, phone, phone, phone, email].into_iter().enumerate() {
            let expected = format!("line {}, {reason}", line + 2);
            assert!(done.err.contains(&expected), "{expected} is not in\n{}", done.err);
        }
        assert!(done.out.starts_with("0 "), "{}", done.out);
    }
    operator.file("twice.csv", &format!("{header}{ID},,Wu@Example.com,1\n{OTHER_ID},,wu@example.COM,1\n"));
    for dry in [&["--dry-run"][..], &[]] {
        let done = operator.run(&[&["import", "twice.csv"], dry].concat()).await;
        assert!(done.err.contains("line 3, email: belongs to another member"), "{}", done.err);
        assert!(done.out.starts_with("1 "), "{}", done.out);
    }
    // The same mailbox in another spelling is not a change.
    operator.file("same.csv", &format!("{header}{ID},,WU@EXAMPLE.COM,1\n"));
    assert_eq!(operator.json(&["import", "same.csv", "--existing", "update"]).await["skipped"], 1);
    assert_eq!(operator.json(&["show", "wu@EXAMPLE.com"]).await["email"], "Wu@example.com");
}
