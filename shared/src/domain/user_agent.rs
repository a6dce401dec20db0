//! The device behind a `User-Agent`, as a person recognizes it.
//!
//! The result consists of the names in the tables below, so it never contains text that a caller chose.

/// Operating systems and devices, by what a `User-Agent` contains. The first match counts: phones name the systems that
/// theirs derive from.
const SYSTEMS: [(&str, &str); 10] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("HarmonyOS", "HarmonyOS"),
    ("OpenHarmony", "HarmonyOS"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "Mac"),
    ("Linux", "Linux"),
    ("Darwin", "Apple"),
];

/// Browsers, and the libraries by which apps call. The first match counts: most browsers name Chrome and Safari as
/// well.
const BROWSERS: [(&str, &str); 22] = [
    ("MicroMessenger", "WeChat"),
    ("AlipayClient", "Alipay"),
    ("DingTalk", "DingTalk"),
    ("QQBrowser", "QQ Browser"),
    ("UCBrowser", "UC Browser"),
    ("HuaweiBrowser", "Huawei Browser"),
    ("MiuiBrowser", "Mi Browser"),
    ("HeyTapBrowser", "HeyTap Browser"),
    ("VivoBrowser", "vivo Browser"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("YaBrowser", "Yandex Browser"),
    ("FxiOS", "Firefox"),
    ("Firefox", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
    ("okhttp", "OkHttp"),
    ("CFNetwork", "app"),
    ("Dalvik", "app"),
    ("curl", "curl"),
];

/// Returns a short name such as `iPhone · Safari`. Returns `None` if it recognizes neither system nor browser.
#[must_use]
pub fn device(user_agent: &str) -> Option<String> {
    let find = |table: &[(&str, &'static str)]| {
        table.iter().find(|(part, _)| user_agent.contains(part)).map(|(_, name)| *name)
    };
    let names: Vec<_> = [find(&SYSTEMS), find(&BROWSERS)].into_iter().flatten().collect();
    (!names.is_empty()).then(|| names.join(" · "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn device_is_named_by_system_and_browser() {
        for (user_agent, expected) in [
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1",
                "iPhone · Safari",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 MicroMessenger/8.0.49(0x1800312e) NetType/WIFI Language/zh_CN",
                "iPhone · WeChat",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
                "Android · Samsung Internet",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36 Edg/124.0.0.0",
                "Windows · Edge",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 14.4; rv:125.0) Gecko/20100101 Firefox/125.0",
                "Mac · Firefox",
            ),
            (
                "Mozilla/5.0 (Phone; OpenHarmony 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.0.0 Safari/537.36 ArkWeb/4.1.6.1 Mobile",
                "HarmonyOS · Chrome",
            ),
            ("Dalvik/2.1.0 (Linux; U; Android 13; Pixel 7 Build/TQ3A.230805.001)", "Android · app"),
            ("Shop/3.2 CFNetwork/1494.0.7 Darwin/23.4.0", "Apple · app"),
            ("okhttp/4.12.0", "OkHttp"),
        ] {
            assert_eq!(device(user_agent).as_deref(), Some(expected), "{user_agent}");
        }
        for unknown in ["", "Shop/3.2", "call +1 900 555 0123 now"] {
            assert_eq!(device(unknown), None, "{unknown}");
        }
    }

    proptest! {
        #[test]
        fn device_contains_no_text_of_the_caller(text in "[a-z0-9 ]{20,40}") {
            let named = device(&format!("iPhone {text} Safari {text}"));
            prop_assert_eq!(named.as_deref(), Some("iPhone · Safari"));
        }
    }
}
