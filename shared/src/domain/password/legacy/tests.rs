use super::{
    super::{Memory, Password, PasswordHash, PasswordPolicy, verify},
    *,
};
use crate::domain::keys::tests::{secret, two_keys};
use proptest::prelude::*;
use scheme::{Function, Order, Sha2};

const POLICY: PasswordPolicy = PasswordPolicy { min_code_points: 8, memory_kib: 7 * 1024, passes: 1 };

/// The password of each hash that does not have its own.
const PASSWORD: &str = "the-old-password";

/// Made by bcrypt 4.0.1 for Python through passlib 1.7.4.
const BCRYPT: &str = "$2b$04$9PppdWUkpwCi6nqVyJwkkO2hB3D0O1ky1UQoxdWNJKF6v4eGA9lSW";

/// A hash of each format that identifies itself: its source, its text and its password.
const SELF_IDENTIFYING: [(&str, &str, &str); 32] = [
    ("bcrypt 4.0.1 for Python", BCRYPT, PASSWORD),
    ("bcrypt 4.0.1 for Python", "$2a$04$x1mdGEW6GjhvyC81qw5urOy7c9JUUJf2y9.q3/aqTYK2N98v9iFpq", PASSWORD),
    ("bcrypt 4.0.1 for Python", "$2y$04$DLmexmu0PkJnBSzW6xflh.KybKF6xW0iLu6Q5urykgQJ/cyr7tZWm", PASSWORD),
    ("tests of jBCrypt", "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.", ""),
    ("tests of jBCrypt", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe", "a"),
    (
        "bcrypt 4.0.1 for Python, made from 80 x, of which 72 count",
        LONG_BCRYPT,
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ),
    ("WordPress 6.8", "$wp$2y$10$Q1xinFjrZeLWJBvxviIL6u834Fu.evIEFHAUVisQ5O.w9Dm0sMdES", "admin"),
    ("WordPress 6.8, which trims the password", WORDPRESS, " the-old-password\n"),
    ("test.php of phpass", "$P$9IQRaTwmfeRo7ud9Fh4E2PdI0S3r.L0", "test12345"),
    ("passlib 1.7.4", "$P$650LmolwNrTTb7JU2FTv4OYdeclUdb1", PASSWORD),
    ("passlib 1.7.4", "$H$6Swxos5A4Ww4HBMwhQiBm5bJpFlhcG/", PASSWORD),
    (
        "tests of scrypt 1.1 and yescrypt",
        "$7$C6..../....SodiumChloride$kBGj9fHznVYFQMEn/qDCfrDevf9YDtcDdKvEqHJLV8D",
        "pleaseletmein",
    ),
    (
        "passlib 1.7.4",
        "$scrypt$ln=10,r=8,p=1$Q4gR4tzbW+udMwagdG4t5Q$RO/wqaIOih3wRkN3gI7ZmoiuaY/l4De+4woWlf0BzgQ",
        PASSWORD,
    ),
    (
        "passlib 1.7.4",
        "$pbkdf2-sha256$1000$L6XU.r.XUur9/793bg1ByA$jnXATpAy.d.6J3JCkscBRHkATd.Fynq17NhyqkbZZtQ",
        PASSWORD,
    ),
    (
        "passlib 1.7.4",
        "$pbkdf2-sha512$1000$M6ZUCsHYW4ux9p5z7r0Xog$JLbksZutsxYltrBeuBfzGI8ULL3d8O8A0FrCab89/ByLtLJvKAxKCcHvY92.5kcNObAQQ38UHgLOyW11PRj.Ng",
        PASSWORD,
    ),
    (
        "passlib 1.7.4, rewritten as a PHC string",
        "$pbkdf2-sha256$i=1000,l=32$L6XU+r+XUur9/793bg1ByA$jnXATpAy+d+6J3JCkscBRHkATd+Fynq17NhyqkbZZtQ",
        PASSWORD,
    ),
    (
        "argon2-cffi 25.1",
        "$argon2id$v=19$m=1024,t=1,p=1$eJie+PYGSlugrgpHEu1O/w$jHkoMC8W8MvFX0eHbMMVTs+262A/slTbW0eZdPKZwSg",
        PASSWORD,
    ),
    (
        "argon2-cffi 25.1",
        "$argon2i$v=19$m=1024,t=2,p=2$1CD/YE8Fy18PrYOjbbujZw$ifz85bVx/7T7S6k5a7ABQamh2zanItXMcJMbktWPGEw",
        PASSWORD,
    ),
    (
        "argon2-cffi 25.1",
        "$argon2d$v=19$m=1024,t=2,p=2$OzvnQNbhjaOoB8g/lvzn+w$XFCsT2DmpL4eTluHvsf2cFRtIj8VZdHG1fG51SJ0zt0",
        PASSWORD,
    ),
    (
        "argon2-cffi 25.1, version 0x10",
        "$argon2id$v=16$m=1024,t=1,p=1$c2Vhc2FsdDIwMjY$j7mr1Q6mcenFNxLZOFnVLKhpp0O8fWgL2dT+XF1TkVU",
        PASSWORD,
    ),
    (
        "argon2-cffi 25.1, version 0x10, without its field",
        "$argon2id$m=1024,t=1,p=1$c2Vhc2FsdDIwMjY$j7mr1Q6mcenFNxLZOFnVLKhpp0O8fWgL2dT+XF1TkVU",
        PASSWORD,
    ),
    ("Django 5.2", "pbkdf2_sha256$1000$seasalt2026$csBWAOXVArVCwgTHVj4696x8pwQSbBSTli+2Lq8MQOI=", PASSWORD),
    (
        "Django 5.2",
        "argon2$argon2id$v=19$m=1024,t=2,p=8$c2Vhc2FsdDIwMjY$XLYgimTa/wGnusb6SyWrOKAJkFZRTVyb7f3Phk6fr10",
        PASSWORD,
    ),
    ("Django 5.2", "bcrypt_sha256$$2b$04$TfsHEo5C44NKUjnq53R8SuRdrasOzyH6yiT4dJMpV0BgV6jwb7/tm", PASSWORD),
    (
        "Django 5.2",
        "bcrypt_sha256$$2b$04$sBpAVyJCRTKzo1KBhnKvneebXgGa.bIsT6H1whyOIdPnC47nVCX.m",
        "长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长",
    ),
    ("Django 5.2", "bcrypt$$2b$04$xRxu8qM2ZSjGWUHiZj1yj.xdgXlFUm3DwBTKzUURbCOPSTsR90CDe", PASSWORD),
    (
        "Django 5.2",
        "scrypt$1024$seasalt2026$8$5$66MRSkhZefPwXWV52Q/NGUf+x6FvA/RFyyyC5KTi4lVrIXjcRjRtLPYKLgPgc/XIARbpbliDT84JcLh9h9rcqg==",
        PASSWORD,
    ),
    ("Django 5.2", "md5$seasalt2026$e18bdb4ff58a4a0b79160d5a08f6e530", PASSWORD),
    (
        "published realm of Keycloak 26",
        r#"{"type":"password","secretData":"{\"value\":\"BruFLfFkjH/8erZ26NnrbkOrWiZuQyDRCHD9o0R6Scg=\",\"salt\":\"Cf9AYCE5pAbb4CKEF0GUTA==\",\"additionalParameters\":{}}","credentialData":"{\"hashIterations\":5,\"algorithm\":\"argon2\",\"additionalParameters\":{\"hashLength\":[\"32\"],\"memory\":[\"7168\"],\"type\":[\"id\"],\"version\":[\"1.3\"],\"parallelism\":[\"1\"]}}"}"#,
        "password",
    ),
    (
        "published realm of Keycloak 26",
        r#"{"secretData":"{\"value\":\"G/V3ye8ifqt0FVNOku1zKxPbuBACsDKWlrDM/bKZ0yA=\",\"salt\":\"3RUis2NC1ADi7ZoYXcfs5A==\"}","credentialData":"{\"hashIterations\":5,\"algorithm\":\"argon2\",\"additionalParameters\":{\"memory\":[\"7168\"],\"type\":[\"id\"],\"parallelism\":[\"1\"]}}"}"#,
        "1234",
    ),
    (
        "hashlib of Python, in the format of Keycloak",
        r#"{"secretData":"{\"value\":\"6GBR7WiQ6gUxLHf6C2ilgNaS2H9EKrxxPJX8+sIS5xUGrdUhY03zAQcWtGbozFz6yAfcjk9dzsRKdSHVvFRvng==\",\"salt\":\"AAECAwQFBgcICQoLDA0ODw==\"}","credentialData":"{\"hashIterations\":1000,\"algorithm\":\"pbkdf2-sha256\"}"}"#,
        PASSWORD,
    ),
    (
        "hashlib of Python, in the format of Keycloak",
        r#"{"secretData":"{\"value\":\"gP8qkqGVC9W3urCZmgliHflNBZ0fzKY5xgvCyMTTWnODg1BGA0Fs0v0lm6R6Y8dZ8XlcVw8EQ96qcs6ybEWyDw==\",\"salt\":\"AAECAwQFBgcICQoLDA0ODw==\"}","credentialData":"{\"hashIterations\":1000,\"algorithm\":\"pbkdf2-sha512\"}"}"#,
        PASSWORD,
    ),
];

/// Made by bcrypt 4.0.1 for Python, with the preprocessing of `WordPress`.
const WORDPRESS: &str = "$wp$2y$04$fqZxbKTzT4gcsxi0oWZtfus6gZUPtOk/FwZnhqDaC14wrZQXUXm52";

/// Made by `hashPassword` of better-auth 1, from a password with a ligature that NFKC decomposes.
const BETTER_AUTH: &str = "21ecb30bea5fcdf898d013b1ab8798c3:72bffa9d1317194dd5feb389b25687672136201f62f51fe7af073c5804a261c91f8a9c4cdcbef4efe68a1bbcfeb0b357277a6b310576b7a78557d184b25c8228";

/// Made by hashlib of Python, with the salt "seasalt2026".
const HEX: [(&str, HashFormat<'_>); 6] = [
    ("fdcf36394daaf47def0d41d181d1443c", HashFormat::Md5(Salt::None)),
    ("E18BDB4FF58A4A0B79160D5A08F6E530", HashFormat::Md5(Salt::Before("seasalt2026"))),
    ("2d83f6bf53c2c90ad4ab2dd289b755ed", HashFormat::Md5(Salt::After("seasalt2026"))),
    ("c2f61b2fcd185cdf17d1ac8140a13eee0942ad076773cd49121a52163b3ff71e", HashFormat::Sha256(Salt::None)),
    (
        "83c21f7daa30563e5967d47025e00fdd539ebb3b70666af02a6f774d950c4d36",
        HashFormat::Sha256(Salt::Before("seasalt2026")),
    ),
    (
        "de3c34d0fd8b06e56c696fc204ea295e4a550221c793c5737da15fed515a54c4",
        HashFormat::Sha256(Salt::After("seasalt2026")),
    ),
];

fn try_import(text: &str, format: Option<HashFormat<'_>>) -> Result<PasswordHash, ImportHashError> {
    POLICY.import(&two_keys(), text, format, &mut Memory::default())
}

fn import(text: &str, format: Option<HashFormat<'_>>) -> PasswordHash {
    try_import(text, format).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[track_caller]
fn assert_matches_only(hash: &PasswordHash, password: &str, source: &str) {
    let keys = two_keys();
    assert!(verify(&keys, password, hash).unwrap(), "{source}");
    for wrong in ["", "the-old-passwore", "The-old-password", &format!("{password}x")] {
        // bcrypt reads 72 bytes.
        if wrong != password && wrong.len() <= 72 {
            assert!(!verify(&keys, wrong, hash).unwrap(), "{source}: {wrong}");
        }
    }
}

#[test]
fn identifying_hash_matches_only_its_password() {
    for (source, text, password) in SELF_IDENTIFYING {
        assert_matches_only(&import(text, None), password, &format!("{source}: {text}"));
    }
}

#[test]
fn hex_digest_matches_only_under_its_format() {
    let formats = HEX.map(|(_, format)| format);
    for (text, format) in HEX {
        assert_matches_only(&import(text, Some(format)), PASSWORD, text);
        assert!(matches!(try_import(text, None), Err(ImportHashError::Unknown)), "{text}");
        for other in formats.into_iter().filter(|&other| other != format) {
            let matches =
                try_import(text, Some(other)).is_ok_and(|hash| verify(&two_keys(), PASSWORD, &hash).unwrap());
            assert!(!matches, "{text} {other:?}");
        }
    }
    assert_matches_only(&import(BETTER_AUTH, Some(HashFormat::BetterAuth)), "first-pässword", "better-auth");
    assert_matches_only(
        &import(BETTER_AUTH, Some(HashFormat::BetterAuth)),
        "\u{fb01}rst-pässword",
        "better-auth",
    );
    assert!(matches!(try_import(BETTER_AUTH, None), Err(ImportHashError::Unknown)));
}

#[test]
fn only_a_proof_of_the_digest_is_stored() {
    let fast = ["$P$", "$H$", "md5$"];
    let identifying = SELF_IDENTIFYING.iter().map(|(_, text, _)| (*text, None));
    for (text, format) in identifying.chain(HEX.map(|(text, format)| (text, Some(format)))) {
        let stored = import(text, format);
        let proof = if format.is_some() || fast.iter().any(|start| text.starts_with(start)) {
            "$argon2id$v=19$m=7168,t=1,p=1,keyid=bmV3$"
        } else {
            "$hmac-sha256$keyid=new$"
        };
        assert!(stored.as_str().starts_with("$foreign$v=1,in=") && stored.as_str().contains(proof), "{text}");
        let Digest { bytes, .. } = parse(text, format).ok().unwrap();
        let stored = stored.as_str().to_lowercase();
        for exposed in [BASE64_STANDARD_NO_PAD.encode(&bytes), hex::encode(&bytes)] {
            assert!(!stored.contains(&exposed.to_lowercase()), "{text}");
        }
    }
}

#[test]
fn hash_stored_by_an_earlier_release_verifies() {
    for stored in [
        "$foreign$v=1,in=typed,l=23$bcrypt$c=4$/RrrfYWmryEk8psX0LymmQ$hmac-sha256$keyid=new$iM/tsr+lExLL40tyFY4IMa3VwAZktEbmNqoYpMsIBEg",
        "$foreign$v=1,in=typed,l=32$argon2id$v=19,m=1024,t=1,p=1$eJie+PYGSlugrgpHEu1O/w$hmac-sha256$keyid=new$We5SdlINrne5B6GRLR/VgYkMOqGmdmxLudTUjNDNcM4",
        "$foreign$v=1,in=typed,l=16$md5$salt=after$c2Vhc2FsdDIwMjY$argon2id$v=19$m=7168,t=1,p=1,keyid=bmV3$L1WhWQLSGVL46mTYVjCvXw$EfiKsuEoItaUCn51kVsts6HFvu80husEreumphgBKUY",
    ] {
        let stored = PasswordHash(stored.to_owned());
        assert!(verify(&two_keys(), PASSWORD, &stored).unwrap(), "{}", stored.as_str());
    }
}

#[test]
fn unknown_format_is_refused() {
    let cut = |text: &str| {
        // Padding is optional.
        let text = text.trim_end_matches('=');
        text[..text.len() - 1].to_owned()
    };
    let unknown = [
        "",
        "$",
        "{}",
        "the-old-password",
        // Django's mark of a member without a password.
        "!vnGXmNTLCSNQp4dMzbdSPWFhzjxtkgJN1BqjLbW",
        // From the faulty implementation, and from the version before 2a.
        "$2x$04$DLmexmu0PkJnBSzW6xflh.KybKF6xW0iLu6Q5urykgQJ/cyr7tZWm",
        "$2$04$DLmexmu0PkJnBSzW6xflh.KybKF6xW0iLu6Q5urykgQJ/cyr7tZWm",
        "$2b$4$9PppdWUkpwCi6nqVyJwkkO2hB3D0O1ky1UQoxdWNJKF6v4eGA9lSW",
        "$2b$03$9PppdWUkpwCi6nqVyJwkkO2hB3D0O1ky1UQoxdWNJKF6v4eGA9lSW",
        "$2b$32$9PppdWUkpwCi6nqVyJwkkO2hB3D0O1ky1UQoxdWNJKF6v4eGA9lSW",
        "$2b$04$9PppdWUkpwCi6nqVyJwkkO2hB3D0O1ky1UQoxdWNJKF6v4eGA9lSW$",
        "$1$5pZSV9va$azfrPr6af3Fc7dLblQXVa0",
        "$5$rounds=1004$nacl$oiWPbm.kQ7.jTCZoOtdv7/tO5mWv/vxw5yTqlBagVR7",
        "$6$rounds=1030$jmjMW.8q4r5oKCbq$",
        "$y$j9T$IZUrEbc9oo9gZ28EqoVjI.$HVWJnkX89URubQkyrZcYGrDvXlGrQ3DAyWXS0y1rhZ5",
        "sha1$seasalt2026$cff36ea83f5706ce9aa7454e63e431fc726b2dc8",
        "md5$seasalt2026$e18bdb4ff58a4a0b79160d5a08f6e53",
        "md5$seasalt2026$e18bdb4ff58a4a0b79160d5a08f6e530$",
        "pbkdf2_sha1$1000$seasalt2026$UVtU82OjS8ZWQeU2F7FqKT1zFlg=",
        "pbkdf2_sha256$+1000$seasalt2026$csBWAOXVArVCwgTHVj4696x8pwQSbBSTli+2Lq8MQOI=",
        "pbkdf2_sha256$0$seasalt2026$csBWAOXVArVCwgTHVj4696x8pwQSbBSTli+2Lq8MQOI=",
        "pbkdf2_sha256$1000$seasalt2026$csBWAOXVArVCwgTHVg==",
        "$pbkdf2-sha256$i=1000,l=64$L6XU+r+XUur9/793bg1ByA$jnXATpAy+d+6J3JCkscBRHkATd+Fynq17NhyqkbZZtQ",
        "$pbkdf2$1000$L6XU.r.XUur9/793bg1ByA$jnXATpAy.d.6J3JCkscBRHkATd.Fynq17NhyqkbZZtQ",
        "scrypt$1000$seasalt2026$8$5$66MRSkhZefPwXWV52Q/NGUf+x6FvA/RFyyyC5KTi4lVrIXjcRjRtLPYKLgPgc/XIARbpbliDT84JcLh9h9rcqg==",
        "$scrypt$ln=64,r=8,p=1$Q4gR4tzbW+udMwagdG4t5Q$RO/wqaIOih3wRkN3gI7ZmoiuaY/l4De+4woWlf0BzgQ",
        "$scrypt$ln=10,r=0,p=1$Q4gR4tzbW+udMwagdG4t5Q$RO/wqaIOih3wRkN3gI7ZmoiuaY/l4De+4woWlf0BzgQ",
        "$scrypt$ln=10,r=70000,p=70000$Q4gR4tzbW+udMwagdG4t5Q$RO/wqaIOih3wRkN3gI7ZmoiuaY/l4De+4woWlf0BzgQ",
        "$P$50LmolwNrTTb7JU2FTv4OYdeclUdb1",
        "$P$450LmolwNrTTb7JU2FTv4OYdeclUdb1",
        // With a secret of the other system or of this one, and with invalid versions, costs and salts.
        "$argon2id$v=19$m=1024,t=1,p=1,keyid=bmV3$eJie+PYGSlugrgpHEu1O/w$jHkoMC8W8MvFX0eHbMMVTs+262A/slTbW0eZdPKZwSg",
        "$argon2id$v=19$m=1024,t=1,p=1,data=bmV3$eJie+PYGSlugrgpHEu1O/w$jHkoMC8W8MvFX0eHbMMVTs+262A/slTbW0eZdPKZwSg",
        "$argon2id$v=18$m=1024,t=1,p=1$eJie+PYGSlugrgpHEu1O/w$jHkoMC8W8MvFX0eHbMMVTs+262A/slTbW0eZdPKZwSg",
        "$argon2id$v=19$m=4,t=1,p=1$eJie+PYGSlugrgpHEu1O/w$jHkoMC8W8MvFX0eHbMMVTs+262A/slTbW0eZdPKZwSg",
        "$argon2id$v=19$m=1024,t=1,p=4294967295$eJie+PYGSlugrgpHEu1O/w$jHkoMC8W8MvFX0eHbMMVTs+262A/slTbW0eZdPKZwSg",
        "$argon2id$v=19$m=1024,t=1,p=1$c2FsdA$jHkoMC8W8MvFX0eHbMMVTs+262A/slTbW0eZdPKZwSg",
        r#"{"secretData":"{\"value\":\"K4G4wiIQSPxNOR2he5Y8IolsNha/ZAIjgHwp/Z4MYFkTQVtXis8kK5f+NTSrOEeYqA6+hEINK7vN310kqlaWKA==\",\"salt\":\"AAECAwQFBgcICQoLDA0ODw==\"}","credentialData":"{\"hashIterations\":1000,\"algorithm\":\"pbkdf2\"}"}"#,
        r#"{"type":"otp","secretData":"{\"value\":\"JBSWY3DPEHPK3PXP\"}","credentialData":"{\"subType\":\"totp\",\"digits\":6}"}"#,
    ];
    let cut = SELF_IDENTIFYING.map(|(_, text, _)| cut(text));
    let hash = POLICY.hash(&two_keys(), &POLICY.accept(PASSWORD, &[""; 0]).unwrap()).unwrap();
    let own = [hash.as_str(), import(BCRYPT, None).as_str()].map(str::to_owned);
    for text in unknown.map(str::to_owned).into_iter().chain(cut).chain(own) {
        let imported = try_import(&text, None);
        assert!(matches!(imported, Err(ImportHashError::Unknown)), "{text}: {imported:?}");
    }
    for format in HEX.map(|(_, format)| format).into_iter().chain([HashFormat::BetterAuth]) {
        for text in ["", "fdcf36394daaf47def0d41d181d1443", "zdcf36394daaf47def0d41d181d1443c", BCRYPT, ":"] {
            let imported = try_import(text, Some(format));
            assert!(matches!(imported, Err(ImportHashError::Unknown)), "{text} {format:?}: {imported:?}");
        }
    }
}

#[test]
fn costly_hash_is_refused_before_it_is_computed() {
    let argon2 = |costs: &str| {
        format!("$argon2id$v=19${costs}$eJie+PYGSlugrgpHEu1O/w$jHkoMC8W8MvFX0eHbMMVTs+262A/slTbW0eZdPKZwSg")
    };
    let scrypt = |costs: &str| {
        format!("$scrypt${costs}$Q4gR4tzbW+udMwagdG4t5Q$RO/wqaIOih3wRkN3gI7ZmoiuaY/l4De+4woWlf0BzgQ")
    };
    let pbkdf2 = |costs: &str| format!("{costs}$seasalt2026$csBWAOXVArVCwgTHVj4696x8pwQSbBSTli+2Lq8MQOI=");
    let bcrypt = |cost: &str| format!("$2b${cost}$9PppdWUkpwCi6nqVyJwkkO2hB3D0O1ky1UQoxdWNJKF6v4eGA9lSW");
    let phpass = |cost: char| format!("$P${cost}50LmolwNrTTb7JU2FTv4OYdeclUdb1");
    for (costly, affordable) in [
        (argon2("m=524289,t=1,p=1"), argon2("m=524288,t=4,p=1")),
        (argon2("m=4294967295,t=4294967295,p=1"), argon2("m=102400,t=2,p=8")),
        (argon2("m=65536,t=33,p=4"), argon2("m=65536,t=32,p=4")),
        (scrypt("ln=20,r=8,p=1"), scrypt("ln=19,r=8,p=2")),
        (scrypt("ln=17,r=8,p=9"), scrypt("ln=17,r=8,p=8")),
        (scrypt("ln=40,r=8,p=1"), scrypt("ln=14,r=16,p=1")),
        (scrypt("ln=2,r=9000000,p=1"), scrypt("ln=15,r=8,p=3")),
        (scrypt("ln=10,r=8,p=4294967"), scrypt("ln=10,r=8,p=5")),
        (pbkdf2("pbkdf2_sha256$5000001"), pbkdf2("pbkdf2_sha256$5000000")),
        (pbkdf2("pbkdf2_sha256$4294967295"), pbkdf2("pbkdf2_sha256$1200000")),
        (bcrypt("16"), bcrypt("15")),
        (bcrypt("31"), bcrypt("12")),
        (phpass('H'), phpass('G')),
        (phpass('S'), phpass('D')),
    ] {
        let refused = try_import(&costly, None);
        assert!(matches!(refused, Err(ImportHashError::TooCostly)), "{costly}: {refused:?}");
        import(&affordable, None);
    }
}

/// Made by bcrypt 4.0.1 for Python from 80 x, of which 72 count.
const LONG_BCRYPT: &str = "$2b$04$oiNDuf2BRJV0DKZ1RBcAZuTqmYIFJpFYQTtzWrLfzvPs2mROCukSi";

/// Imports a hash, upgrades it when `typed` matches, and returns the upgraded hash.
fn upgrade(text: &str, format: Option<HashFormat<'_>>, typed: &str) -> PasswordHash {
    let (keys, imported) = (two_keys(), import(text, format));
    assert!(verify(&keys, typed, &imported).unwrap() && POLICY.is_outdated(&keys, &imported), "{typed}");
    let upgraded = POLICY.upgrade(&keys, typed, &imported).unwrap().unwrap();
    assert!(!POLICY.is_outdated(&keys, &upgraded), "{}", upgraded.as_str());
    assert!(POLICY.upgrade(&keys, typed, &upgraded).unwrap().is_none());
    assert!(PasswordHash::parse_stored(&keys, upgraded.as_str()).is_some());
    upgraded
}

#[test]
fn upgrade_keeps_every_form_that_was_accepted() {
    let long = |length: usize, end: &str| format!("{}{end}", "x".repeat(length));
    let phpass = "$P$650LmolwNrTTb7JU2FTv4OYdeclUdb1";
    let trimmed = [PASSWORD.to_owned(), format!(" {PASSWORD}\n"), format!("{PASSWORD}\t")];
    let ligature = ["first-pässword".to_owned(), "\u{fb01}rst-pässword".to_owned()];
    let cut = [long(72, ""), long(80, ""), long(72, "another end"), long(72, "é")];
    for (text, format, forms, others) in [
        (phpass, None, &trimmed[..], [format!("x{PASSWORD}"), "the old-password".to_owned()]),
        (WORDPRESS, None, &trimmed, [format!("x{PASSWORD}"), "the old-password".to_owned()]),
        (BETTER_AUTH, Some(HashFormat::BetterAuth), &ligature, ["irst-pässword".to_owned(), long(8, "")]),
        (LONG_BCRYPT, None, &cut, [long(71, ""), long(71, "y")]),
    ] {
        for typed in forms {
            let upgraded = upgrade(text, format, typed);
            assert!(upgraded.as_str().contains("$argon2id$v=19$m=7168,t=1,p=1,keyid=bmV3$"), "{text}");
            for form in forms {
                assert!(verify(&two_keys(), form, &upgraded).unwrap(), "{text}: {typed:?}, then {form:?}");
            }
            for other in &others {
                assert!(!verify(&two_keys(), other, &upgraded).unwrap(), "{text}: {other:?}");
            }
        }
    }
}

#[test]
fn upgrade_of_every_format_verifies_the_password() {
    let identifying = SELF_IDENTIFYING.map(|(_, text, password)| (text, None, password));
    let others = HEX.map(|(text, format)| (text, Some(format), PASSWORD));
    for (text, format, password) in identifying.into_iter().chain(others) {
        let upgraded = upgrade(text, format, password);
        assert_matches_only(&upgraded, password, text);
    }
}

#[test]
fn upgraded_hash_follows_costs_and_keys() {
    let before = Keys::parse(&secret("old")).unwrap();
    let imported = POLICY.import(&before, WORDPRESS, None, &mut Memory::default()).unwrap();
    let upgraded = POLICY.upgrade(&before, PASSWORD, &imported).unwrap().unwrap();
    let dearer = PasswordPolicy { passes: 2, ..POLICY };
    for (policy, keys) in [(POLICY, two_keys()), (dearer, Keys::parse(&secret("old")).unwrap())] {
        assert!(policy.is_outdated(&keys, &upgraded));
        let again = policy.upgrade(&keys, PASSWORD, &upgraded).unwrap().unwrap();
        assert!(!policy.is_outdated(&keys, &again), "{}", again.as_str());
        assert_matches_only(&again, " the-old-password", "upgraded twice");
    }
}

#[test]
fn password_longer_than_4096_bytes_never_matches() {
    let stored = import(BCRYPT, None);
    assert!(!verify(&two_keys(), &format!("{PASSWORD}{}", "x".repeat(4096)), &stored).unwrap());
    let long = "x".repeat(4096);
    let digest = hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, long.as_bytes()));
    assert!(verify(&two_keys(), &long, &import(&digest, Some(HashFormat::Sha256(Salt::None)))).unwrap());
}

#[test]
fn earlier_pepper_verifies_until_retired() {
    let before = Keys::parse(&secret("old")).unwrap();
    let retired = Keys::parse(&format!(r#"{{"current":"new","new":"{}"}}"#, "n".repeat(64))).unwrap();
    let (md5, format) = HEX[0];
    for (text, format) in [(BCRYPT, None), (md5, Some(format))] {
        let stored = POLICY.import(&before, text, format, &mut Memory::default()).unwrap();
        assert!(verify(&two_keys(), PASSWORD, &stored).unwrap(), "{text}");
        assert!(!verify(&retired, PASSWORD, &stored).unwrap(), "{text}");
    }
}

fn is_import_of(hash: &PasswordHash, text: &str, format: Option<HashFormat<'_>>) -> bool {
    hash.is_import_of(&two_keys(), text, format, &mut Memory::default()).unwrap()
}

#[test]
fn same_import_is_detected_despite_salt_and_key() {
    let before = Keys::parse(&secret("old")).unwrap();
    let (md5, format) = HEX[0];
    for (text, format) in [(BCRYPT, None), (WORDPRESS, None), (md5, Some(format))] {
        let stored = POLICY.import(&before, text, format, &mut Memory::default()).unwrap();
        assert!(is_import_of(&stored, text, format), "{text}");
        assert!(
            !is_import_of(&stored, &BCRYPT.replace("04", "05"), None)
                && !is_import_of(&stored, &"0".repeat(32), Some(HEX[0].1))
        );
    }
    let ours = POLICY.hash(&two_keys(), &Password::existing(PASSWORD)).unwrap();
    assert!(!is_import_of(&ours, BCRYPT, None));
}

#[test]
fn stored_hash_parses_only_if_complete() {
    let (md5, format) = HEX[0];
    for hash in [import(BCRYPT, None), import(md5, Some(format))] {
        let hash = hash.as_str();
        assert!(PasswordHash::parse_stored(&two_keys(), hash).is_some(), "{hash}");
        assert!(PasswordHash::parse_stored(&two_keys(), &hash[..hash.len() - 4]).is_none(), "{hash}");
    }
}

#[test]
fn malformed_hash_is_an_error_not_a_mismatch() {
    let stored = import(BCRYPT, None).as_str().to_owned();
    let changed =
        [("v=1", "v=2"), ("typed", "shown"), ("l=23", "l=24"), ("bcrypt", "becrypt"), ("c=4", "c=40")];
    let changed = changed.map(|(old, new)| stored.replace(old, new));
    let (md5, format) = HEX[0];
    let wrapped = import(md5, Some(format)).as_str().replace("m=7168", "m=x");
    let cut = [wrapped.as_str(), "$foreign$", "$foreign$v=1,in=typed,l=23$bcrypt$c=4$"].map(str::to_owned);
    for stored in changed.into_iter().chain(cut) {
        assert!(verify(&two_keys(), PASSWORD, &PasswordHash(stored.clone())).is_err(), "{stored}");
    }
    // A truncated MAC is a mismatch.
    let cut = stored.get(..stored.len() - 4).unwrap().to_owned();
    assert!(!verify(&two_keys(), PASSWORD, &PasswordHash(cut)).unwrap());
}

fn function() -> impl Strategy<Value = (Function, usize, usize)> {
    let order = || prop_oneof![Just(Order::Before), Just(Order::After)];
    let algorithm = prop_oneof![
        Just(::argon2::Algorithm::Argon2d),
        Just(::argon2::Algorithm::Argon2i),
        Just(::argon2::Algorithm::Argon2id)
    ];
    let version = prop_oneof![Just(::argon2::Version::V0x10), Just(::argon2::Version::V0x13)];
    let sha = prop_oneof![Just(Sha2::Sha256), Just(Sha2::Sha512)];
    prop_oneof![
        (4u32..=15).prop_map(|cost| (Function::Bcrypt { cost }, 16, 23)),
        (sha, 1u32..=2_500_000, 0usize..64, 4usize..=16).prop_map(|(sha, iterations, salt, words)| {
            (Function::Pbkdf2 { sha, iterations: iterations.try_into().unwrap() }, salt, 4 * words)
        }),
        (1u32..=17, 1u32..=16, 1u32..=4, 0usize..64, 4usize..=16).prop_map(|(log_n, r, p, salt, words)| (
            Function::Scrypt { log_n, r, p },
            salt,
            4 * words
        )),
        (algorithm, version, 64u32..=262_144, 1u32..=8, 1u32..=8, 8usize..64, 4usize..=16).prop_map(
            |(algorithm, version, memory_kib, passes, lanes, salt, words)| {
                (Function::Argon2 { algorithm, version, memory_kib, passes, lanes }, salt, 4 * words)
            }
        ),
        (7u32..=18).prop_map(|log_rounds| (Function::Phpass { log_rounds }, 8, 16)),
        (order(), 0usize..64).prop_map(|(order, salt)| (Function::Md5(order), salt, 16)),
        (order(), 0usize..64).prop_map(|(order, salt)| (Function::Sha256(order), salt, 32)),
    ]
}

proptest! {
    #[test]
    fn stored_hash_survives_a_round_trip(
        (function, salt_length, length) in function(),
        preprocess in prop::sample::select(vec!["typed", "nfkc", "trimmed", "sha256-hex", "wp-sha384", "first-72"]),
        random: [u8; 64],
    ) {
        let preprocess = Preprocess::from_name(preprocess).unwrap();
        let scheme = Scheme::new(preprocess, function, random[..salt_length].to_vec(), length).unwrap();
        let digest = Digest { scheme: scheme.clone(), bytes: random[..length].to_vec() };
        let wrap = |_: &[u8]| Ok("$argon2id$v=19$m=8,t=1,p=1,keyid=bmV3$c2FsdHNhbHQ$aGFzaGhhc2g".to_owned());
        let stored = digest.into_legacy_hash(two_keys().current(), wrap).unwrap().to_string();
        let parsed = LegacyHash::parse(stored.strip_prefix(PREFIX).unwrap()).unwrap();
        prop_assert_eq!(&parsed.scheme, &scheme);
        prop_assert_eq!(parsed.to_string(), stored);
    }

    #[test]
    fn mutated_hash_is_refused_or_round_trips(
        start in prop::sample::select(
            SELF_IDENTIFYING.iter().flat_map(|(_, text, _)| [*text, BETTER_AUTH]).collect::<Vec<_>>()
        ),
        at in any::<prop::sample::Index>(),
        replacement in "[$,:=.{}\"a-z0-9\u{0}é]{0,3}",
    ) {
        let mut text = start.to_owned();
        let at = at.index(text.len());
        text.replace_range(at..=at, &replacement);
        let salted = HashFormat::Md5(Salt::Before(&replacement));
        for format in [None, Some(HashFormat::BetterAuth), Some(salted)] {
            if let Ok(digest) = parse(&text, format) {
                let wrap = |_: &[u8]| Ok("$argon2id$".to_owned());
                let stored = digest.into_legacy_hash(two_keys().current(), wrap).unwrap().to_string();
                let parsed = LegacyHash::parse(stored.strip_prefix(PREFIX).unwrap()).unwrap();
                prop_assert_eq!(parsed.to_string(), stored);
            }
        }
    }
}
