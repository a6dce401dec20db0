//! Hashes after the name of their scheme in braces: those of LDAP directories (RFC 2307, 5.3), and those of Spring
//! Security's `DelegatingPasswordEncoder`.

use super::{
    format::{Parsed, argon2, base64, bcrypt, crypt, parts, phc},
    scheme::{Function, ImportHashError, Order, Preprocess},
};

const MD5_BYTES: usize = 16;
const SHA256_BYTES: usize = 32;

/// The length of the salt of `Pbkdf2PasswordEncoder.defaultsForSpringSecurity_v5_8`, in bytes.
const SPRING_PBKDF2_SALT_BYTES: usize = 16;

/// The iterations of `Pbkdf2PasswordEncoder.defaultsForSpringSecurity_v5_8`.
const SPRING_PBKDF2_ITERATIONS: &str = "i=310000";

/// The length of a hash of Spring's `StandardPasswordEncoder`, in hex digits: 8 bytes of salt and 32 of digest.
const SPRING_STANDARD_DIGITS: usize = 80;

/// Splits `{scheme}hash`. Returns `None` for other texts, such as JSON.
pub(super) fn split(text: &str) -> Option<(&str, &str)> {
    let (scheme, hash) = text.strip_prefix('{')?.split_once('}')?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@/".contains(&byte);
    (!scheme.is_empty() && scheme.bytes().all(is_name)).then_some((scheme, hash))
}

/// Parses a hash of this scheme. Directories ignore the case of the name.
pub(super) fn parse(scheme: &str, hash: &str) -> Result<Parsed, ImportHashError> {
    let parsed = match scheme.to_ascii_lowercase().as_str() {
        "bcrypt" | "blf-crypt" => hash.strip_prefix('$').and_then(|hash| bcrypt(hash, Preprocess::Typed)),
        "argon2" | "argon2i" | "argon2id" | "argon2@springsecurity_v5_8" => {
            let named = hash.strip_prefix('$').and_then(|hash| hash.split_once('$'));
            named.and_then(|(name, hash)| argon2(name, hash))
        }
        "scrypt" | "scrypt@springsecurity_v5_8" => spring_scrypt(hash),
        "pbkdf2@springsecurity_v5_8" => spring_pbkdf2(hash),
        "pbkdf2-sha256" => phc("pbkdf2-sha256", hash),
        "pbkdf2-sha512" => phc("pbkdf2-sha512", hash),
        "md5" | "plain-md5" | "ldap-md5" => digest(hash, Function::Md5, MD5_BYTES),
        "smd5" => salted(hash, Function::Md5, MD5_BYTES),
        "sha256" if hash.len() == SPRING_STANDARD_DIGITS => {
            return Err(ImportHashError::NotVerified("Spring's StandardPasswordEncoder"));
        }
        "sha-256" | "sha256" => digest(hash, Function::Sha256, SHA256_BYTES),
        "ssha-256" | "ssha256" => salted(hash, Function::Sha256, SHA256_BYTES),
        "crypt" => {
            let parsed = hash.strip_prefix('$').and_then(crypt);
            return parsed.ok_or(ImportHashError::NotVerified("this form of crypt"));
        }
        "pbkdf2" => return Err(ImportHashError::NotVerified("PBKDF2 with SHA-1")),
        "sha" | "sha1" | "sha-1" | "ssha" | "ssha1" | "ldap" => {
            return Err(ImportHashError::NotVerified("SHA-1"));
        }
        "sha384" | "sha-384" | "ssha384" | "sha512" | "sha-512" | "ssha512" => {
            return Err(ImportHashError::NotVerified("a digest by SHA-384 or SHA-512"));
        }
        "md4" => return Err(ImportHashError::NotVerified("MD4")),
        "noop" | "plain" | "plaintext" | "clear" | "cleartext" => return Err(ImportHashError::Plaintext),
        _ => None,
    };
    parsed.ok_or(ImportHashError::Unknown)
}

/// Parses `$e0801$salt$key`. The first part has log2 of N, r and p in hex, the last two of them in one byte each.
fn spring_scrypt(hash: &str) -> Option<Parsed> {
    let [parameters, salt, key] = parts(hash.strip_prefix('$')?)?;
    let is_hex = parameters.bytes().all(|digit| digit.is_ascii_hexdigit());
    let parameters = u32::from_str_radix(parameters, 16).ok().filter(|_| is_hex)?;
    let function =
        Function::Scrypt { log_n: parameters >> 16, r: parameters >> 8 & 0xff, p: parameters & 0xff };
    Some(Parsed(Preprocess::Typed, function, base64(salt)?, base64(key)?))
}

/// Parses the salt and the digest in hex. The default secret is empty. A hash with another one never matches.
fn spring_pbkdf2(hash: &str) -> Option<Parsed> {
    let bytes = hex::decode(hash).ok()?;
    let (salt, digest) = bytes.split_at_checked(SPRING_PBKDF2_SALT_BYTES)?;
    let function = Function::parse("pbkdf2-sha256", SPRING_PBKDF2_ITERATIONS)?;
    let is_whole = digest.len() == SHA256_BYTES;
    is_whole.then(|| Parsed(Preprocess::Typed, function, salt.into(), digest.into()))
}

/// Parses a digest in hex or Base64. Spring puts the salt before it in braces, and hashes the braces with it.
fn digest(text: &str, function: fn(Order) -> Function, length: usize) -> Option<Parsed> {
    let end = if text.starts_with('{') { text.find('}')? + 1 } else { 0 };
    let (salt, digest) = text.split_at_checked(end)?;
    let bytes = if digest.len() == 2 * length { hex::decode(digest).ok() } else { base64(digest) }?;
    let order = if salt.is_empty() { Order::Before } else { Order::After };
    (bytes.len() == length).then(|| Parsed(Preprocess::Typed, function(order), salt.into(), bytes))
}

/// Parses the digest of the password and a salt, followed by that salt, in Base64.
fn salted(text: &str, function: fn(Order) -> Function, length: usize) -> Option<Parsed> {
    let bytes = base64(text)?;
    let (digest, salt) = bytes.split_at_checked(length).filter(|(_, salt)| !salt.is_empty())?;
    Some(Parsed(Preprocess::Typed, function(Order::After), salt.into(), digest.into()))
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    const PASSWORD: &str = "the-old-password";

    /// A hash of each scheme: its source, its text and its password.
    const VERIFIED: [(&str, &str, &str); 19] = [
        (
            "reference of Spring Security",
            "{bcrypt}$2a$10$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG",
            "password",
        ),
        (
            "reference of Spring Security",
            "{scrypt}$e0801$8bWJaSu2IKSn9Z9kM+TPXfOc/9bdYSrN1oD9qfVThWEwdRTnO7re7Ei+fUZRJ68k9lTyuTeUp4of4g24hHnazw==$OAOec05+bXxvuu/1qZ6NUR+xQYvYv7BeL1QxwRpY5Pc=",
            "password",
        ),
        (
            "hashlib of Python",
            "{pbkdf2@SpringSecurity_v5_8}000102030405060708090a0b0c0d0e0f1d5c687143e7771ed27c74f737c56137ef557f513b21665f6f790dd3e31b6c3f",
            PASSWORD,
        ),
        (
            "argon2-cffi 25.1",
            "{argon2}$argon2id$v=19$m=1024,t=1,p=1$eJie+PYGSlugrgpHEu1O/w$jHkoMC8W8MvFX0eHbMMVTs+262A/slTbW0eZdPKZwSg",
            PASSWORD,
        ),
        (
            "argon2-cffi 25.1",
            "{argon2@SpringSecurity_v5_8}$argon2id$v=19$m=1024,t=1,p=1$eJie+PYGSlugrgpHEu1O/w$jHkoMC8W8MvFX0eHbMMVTs+262A/slTbW0eZdPKZwSg",
            PASSWORD,
        ),
        (
            "argon2-cffi 25.1",
            "{ARGON2}$argon2i$v=19$m=1024,t=2,p=2$1CD/YE8Fy18PrYOjbbujZw$ifz85bVx/7T7S6k5a7ABQamh2zanItXMcJMbktWPGEw",
            PASSWORD,
        ),
        ("hashlib of Python", "{MD5}fdcf36394daaf47def0d41d181d1443c", PASSWORD),
        ("hashlib of Python", "{MD5}/c82OU2q9H3vDUHRgdFEPA==", PASSWORD),
        ("hashlib of Python", "{MD5}{seasalt2026}2e5061a69b70a1059151b853c81aef95", PASSWORD),
        ("hashlib of Python", "{SMD5}oSmf3yCFPaDHFTH082N1BP8AgAECAwT+", PASSWORD),
        (
            "hashlib of Python",
            "{SHA-256}c2f61b2fcd185cdf17d1ac8140a13eee0942ad076773cd49121a52163b3ff71e",
            PASSWORD,
        ),
        (
            "hashlib of Python",
            "{SHA-256}{seasalt2026}d8931cfdca92c1752765632c210d6621eabee9fae25935c3e0cc29c33f9004c1",
            PASSWORD,
        ),
        ("hashlib of Python", "{SHA256}wvYbL80YXN8X0ayBQKE+7glCrQdnc81JEhpSFjs/9x4=", PASSWORD),
        ("hashlib of Python", "{SSHA256}vsGnP6g/a0LxYAMpWZYKOXYnEKHI+8paZ17Lk2NNX1z/AIABAgME/g==", PASSWORD),
        (
            "hashlib of Python",
            "{PBKDF2-SHA256}1000$AAECAwQFBgcICQoLDA0ODw$6GBR7WiQ6gUxLHf6C2ilgNaS2H9EKrxxPJX8.sIS5xU",
            PASSWORD,
        ),
        (
            "hashlib of Python",
            "{PBKDF2-SHA512}1000$AAECAwQFBgcICQoLDA0ODw$gP8qkqGVC9W3urCZmgliHflNBZ0fzKY5xgvCyMTTWnODg1BGA0Fs0v0lm6R6Y8dZ8XlcVw8EQ96qcs6ybEWyDw",
            PASSWORD,
        ),
        (
            "bcrypt 4.0.1 for Python",
            "{CRYPT}$2y$04$DLmexmu0PkJnBSzW6xflh.KybKF6xW0iLu6Q5urykgQJ/cyr7tZWm",
            PASSWORD,
        ),
        (
            "bcrypt 4.0.1 for Python",
            "{BLF-CRYPT}$2y$04$DLmexmu0PkJnBSzW6xflh.KybKF6xW0iLu6Q5urykgQJ/cyr7tZWm",
            PASSWORD,
        ),
        (
            "tests of scrypt 1.1 and yescrypt",
            "{crypt}$7$C6..../....SodiumChloride$kBGj9fHznVYFQMEn/qDCfrDevf9YDtcDdKvEqHJLV8D",
            "pleaseletmein",
        ),
    ];

    #[test]
    fn prefixed_hash_matches_only_its_password() {
        for (source, text, password) in VERIFIED {
            let digest = parse(text, None).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(digest.scheme.digest(password).unwrap(), digest.bytes, "{source}: {text}");
            assert_ne!(digest.scheme.digest("another-password").unwrap(), digest.bytes, "{source}: {text}");
        }
    }

    #[test]
    fn scheme_that_is_not_verified_is_named() {
        let sha1 = "SHA-1 is not verified; leave the field empty, so that the member recovers the password";
        for (text, expected) in [
            ("{SSHA}XCOYQ+rUXIEGuTHG/TC34oiik0b/AIABAgME/g==", sha1),
            ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", sha1),
            ("{SHA-1}5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8", sha1),
            ("{ldap}{SSHA}XCOYQ+rUXIEGuTHG/TC34oiik0b/AIABAgME/g==", sha1),
            (
                "{pbkdf2}5d923b44a6d129f3ddf3e3c8d29412723dcbde72445e8ef6bf3b508fbf17fa4ed4d6b99ca763d8dc",
                "PBKDF2 with SHA-1 is not verified; leave the field empty, so that the member recovers the password",
            ),
            (
                "{sha256}97cde38028ad898ebc02e690819fa220e88c62e0699403e94fff291cfffaf8410849f27605abcbc0",
                "Spring's StandardPasswordEncoder is not verified; leave the field empty, so that the member recovers \
                 the password",
            ),
            (
                "{CRYPT}$6$rounds=5000$usesomesillystri$D4IrlXatmP7rx3P3InaxBeoomnAihCKRVQAr/36eYkZj",
                "this form of crypt is not verified; leave the field empty, so that the member recovers the password",
            ),
            (
                "{CRYPT}ab01FAX.bQRSU",
                "this form of crypt is not verified; leave the field empty, so that the member recovers the password",
            ),
            (
                "{SSHA512}AAAA",
                "a digest by SHA-384 or SHA-512 is not verified; leave the field empty, so that the member recovers \
                 the password",
            ),
            ("{noop}password", "a plaintext, not a hash; hash it first, such as with bcrypt"),
            ("{CLEARTEXT}password", "a plaintext, not a hash; hash it first, such as with bcrypt"),
        ] {
            assert_eq!(parse(text, None).err().unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn prefix_and_hash_must_agree() {
        for text in [
            "{bcrypt}password",
            "{bcrypt}$argon2id$v=19$m=1024,t=1,p=1$eJie+PYGSlugrgpHEu1O/w$jHkoMC8W8MvFX0eHbMMVTs+262A/slTbW0eZdPKZwSg",
            "{argon2}$2a$10$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG",
            "{MD5}c2f61b2fcd185cdf17d1ac8140a13eee0942ad076773cd49121a52163b3ff71e",
            "{MD5}{seasalt2026",
            "{SHA-256}fdcf36394daaf47def0d41d181d1443c",
            "{SMD5}/c82OU2q9H3vDUHRgdFEPA==",
            "{scrypt}$+e0801$AAAA$AAAA",
            "{pbkdf2@SpringSecurity_v5_8}000102",
            "{unknown}fdcf36394daaf47def0d41d181d1443c",
            "{}fdcf36394daaf47def0d41d181d1443c",
            "{bcrypt",
        ] {
            assert!(matches!(parse(text, None), Err(ImportHashError::Unknown)), "{text}");
        }
    }
}
