//! Reading an address from text, and what may be wrong with it.

use super::{Addr, HOST_BYTES_MAX, HOST_LABEL_BYTES_MAX, MEM_NAME_BYTES_MAX, Repr, UNIX_PATH_BYTES_MAX};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

/// How much of a refused text an error quotes, in characters.
const QUOTE_CHARS_MAX: usize = 160;

/// Text that is not an address: the text, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an address: {reason}")]
pub struct InvalidAddr {
    /// The text, cut after 160 characters.
    pub text: String,
    /// The rule it breaks.
    pub reason: InvalidAddrReason,
}

/// Which rule a text breaks that is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAddrReason {
    /// Nothing is there.
    #[error("it is empty")]
    Empty,
    /// A control character, which could forge log lines; NUL would also end a socket path early.
    #[error("it contains the control character {0:?}")]
    Control(char),
    /// A scheme that no transport here has.
    #[error("the scheme {0:?} is unknown; known are tcp://, unix: and mem:")]
    UnknownScheme(String),
    /// A TCP address without `:port`.
    #[error("the port is missing; expected host:port")]
    MissingPort,
    /// The port is not a number.
    #[error("the port {0:?} is not a number")]
    InvalidPort(String),
    /// The port is a number above 65,535.
    #[error("the port {0} is out of range; the largest is 65535")]
    PortOutOfRange(String),
    /// A TCP address without a host.
    #[error("the host is empty; 0.0.0.0 or [::] listens on every interface")]
    EmptyHost,
    /// An IPv6 address without brackets: where its port begins cannot be told.
    #[error("an IPv6 address needs brackets, as in [::1]:9000")]
    MissingBrackets,
    /// What stands in brackets is not an IPv6 address.
    #[error("{0:?} is not an IPv6 address")]
    InvalidIpv6(String),
    /// All digits and dots, but not an IPv4 address. Resolvers would read `127.1` as `127.0.0.1`.
    #[error("{0:?} is not an IPv4 address")]
    InvalidIpv4(String),
    /// The host breaks a rule of host names.
    #[error("the host is not valid: {0}")]
    InvalidHost(&'static str),
    /// A Unix socket path that does not begin with `/`.
    #[error("the path of a Unix socket must be absolute, as in unix:/run/hew.sock")]
    RelativePath,
    /// A Unix socket path that is longer than [`UNIX_PATH_BYTES_MAX`].
    #[error("the path has {0} bytes; a Unix socket path has at most {UNIX_PATH_BYTES_MAX}")]
    PathTooLong(usize),
    /// A Unix socket path that is not UTF-8.
    #[error("the path is not UTF-8")]
    PathNotUtf8,
    /// An in-memory address without a name.
    #[error("the name after mem: is empty")]
    EmptyName,
    /// An in-memory name that is longer than [`MEM_NAME_BYTES_MAX`].
    #[error("the name has {0} bytes; an in-memory name has at most {MEM_NAME_BYTES_MAX}")]
    NameTooLong(usize),
    /// An in-memory name with white space in it.
    #[error("an in-memory name must not contain white space")]
    WhitespaceInName,
}

pub(super) fn parse_checked(
    text: &str,
    parse: fn(&str) -> Result<Addr, InvalidAddrReason>,
) -> Result<Addr, InvalidAddr> {
    let checked = match text.chars().find(|c| c.is_control()) {
        Some(character) => Err(InvalidAddrReason::Control(character)),
        None => parse(text),
    };
    checked.map_err(|reason| InvalidAddr { text: quote(text), reason })
}

pub(super) fn quote(text: &str) -> String {
    text.chars().take(QUOTE_CHARS_MAX).collect()
}

pub(super) fn parse(text: &str) -> Result<Addr, InvalidAddrReason> {
    if text.is_empty() {
        return Err(InvalidAddrReason::Empty);
    }
    let Some((head, rest)) = text.split_once(':') else {
        return Err(InvalidAddrReason::MissingPort);
    };
    if head.eq_ignore_ascii_case("unix") {
        // `unix:///path` is the URL with an empty host; `unix://x` has no path that could be meant.
        return match rest.strip_prefix("//") {
            Some(path) => parse_unix(path),
            None => parse_unix(rest),
        };
    }
    if head.eq_ignore_ascii_case("mem") {
        return parse_mem(rest);
    }
    match rest.strip_prefix("//") {
        Some(tcp) if head.eq_ignore_ascii_case("tcp") => parse_tcp(tcp),
        Some(_) => Err(InvalidAddrReason::UnknownScheme(quote(head))),
        None if rest.starts_with('/') => Err(InvalidAddrReason::UnknownScheme(quote(head))),
        None => parse_tcp(text),
    }
}

pub(super) fn parse_unix(path: &str) -> Result<Addr, InvalidAddrReason> {
    if !path.starts_with('/') {
        return Err(InvalidAddrReason::RelativePath);
    }
    // Several slashes at the beginning mean one; written after `unix:`, two would look like the start of a URL.
    let path = format!("/{}", path.trim_start_matches('/'));
    if path.len() > UNIX_PATH_BYTES_MAX {
        return Err(InvalidAddrReason::PathTooLong(path.len()));
    }
    Ok(Addr(Repr::Unix(path.into())))
}

pub(super) fn parse_mem(name: &str) -> Result<Addr, InvalidAddrReason> {
    if name.is_empty() {
        return Err(InvalidAddrReason::EmptyName);
    }
    if name.len() > MEM_NAME_BYTES_MAX {
        return Err(InvalidAddrReason::NameTooLong(name.len()));
    }
    if name.contains(char::is_whitespace) {
        return Err(InvalidAddrReason::WhitespaceInName);
    }
    Ok(Addr(Repr::Mem(name.into())))
}

pub(super) fn parse_tcp(text: &str) -> Result<Addr, InvalidAddrReason> {
    if let Some(bracketed) = text.strip_prefix('[') {
        return parse_bracketed(bracketed);
    }
    let (host, port) = text.rsplit_once(':').ok_or(match text {
        "" => InvalidAddrReason::EmptyHost,
        _ => InvalidAddrReason::MissingPort,
    })?;
    if host.contains(':') {
        return Err(InvalidAddrReason::MissingBrackets);
    }
    if host.is_empty() {
        return Err(InvalidAddrReason::EmptyHost);
    }
    let port = parse_port(port)?;
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(Addr(Repr::Ip(SocketAddr::new(ip, port))));
    }
    check_host(host)?;
    Ok(Addr(Repr::Host { name: host.to_ascii_lowercase().into(), port }))
}

fn parse_bracketed(text: &str) -> Result<Addr, InvalidAddrReason> {
    let (ip, port) = text.split_once(']').ok_or_else(|| InvalidAddrReason::InvalidIpv6(quote(text)))?;
    let port = parse_port(port.strip_prefix(':').ok_or(InvalidAddrReason::MissingPort)?)?;
    // The parser of the standard library also reads a numeric zone, as in fe80::1%2.
    let ip: SocketAddrV6 =
        format!("[{ip}]:{port}").parse().map_err(|_| InvalidAddrReason::InvalidIpv6(quote(ip)))?;
    Ok(Addr::from(SocketAddr::V6(ip)))
}

fn parse_port(text: &str) -> Result<u16, InvalidAddrReason> {
    if text.is_empty() {
        return Err(InvalidAddrReason::MissingPort);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidAddrReason::InvalidPort(quote(text)));
    }
    text.parse().map_err(|_| InvalidAddrReason::PortOutOfRange(quote(text)))
}

fn check_host(host: &str) -> Result<(), InvalidAddrReason> {
    let reason = if host.len() > HOST_BYTES_MAX {
        "a host name has at most 253 bytes"
    } else if !host.is_ascii() {
        "write a name outside ASCII in its xn-- form"
    } else if host.contains(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.')) {
        "a host name has letters, digits, '-', '_' and '.' only"
    } else if labels(host).any(str::is_empty) {
        "a part between two dots is empty"
    } else if labels(host).any(|label| label.len() > HOST_LABEL_BYTES_MAX) {
        "a part between two dots has at most 63 bytes"
    } else if labels(host).any(|label| label.starts_with('-') || label.ends_with('-')) {
        "a part between two dots neither begins nor ends with '-'"
    } else if labels(host).next_back().is_some_and(looks_numeric) {
        return Err(InvalidAddrReason::InvalidIpv4(quote(host)));
    } else {
        return Ok(());
    };
    Err(InvalidAddrReason::InvalidHost(reason))
}

/// The parts between the dots; the one dot that may end a fully qualified name does not count.
fn labels(host: &str) -> impl DoubleEndedIterator<Item = &str> {
    host.strip_suffix('.').unwrap_or(host).split('.')
}

/// Whether resolvers take a name that ends in this label for an IPv4 address: decimal, octal or hexadecimal.
fn looks_numeric(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Scheme;
    use InvalidAddrReason as Reason;

    fn addr(text: &str) -> Addr {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn good_texts_and_how_they_are_written() {
        for (text, scheme, written) in [
            ("127.0.0.1:9000", Scheme::Tcp, "127.0.0.1:9000"),
            ("tcp://127.0.0.1:0", Scheme::Tcp, "127.0.0.1:0"),
            ("TCP://Example.ORG:65535", Scheme::Tcp, "example.org:65535"),
            ("[::1]:9000", Scheme::Tcp, "[::1]:9000"),
            ("tcp://[2001:DB8::1]:9000", Scheme::Tcp, "[2001:db8::1]:9000"),
            ("[fe80::1%2]:9000", Scheme::Tcp, "[fe80::1%2]:9000"),
            ("[::ffff:10.0.0.1]:80", Scheme::Tcp, "10.0.0.1:80"),
            ("db_1.cluster-2.example.:80", Scheme::Tcp, "db_1.cluster-2.example.:80"),
            ("tcp://unix:80", Scheme::Tcp, "tcp://unix:80"),
            ("tcp://mem:80", Scheme::Tcp, "tcp://mem:80"),
            ("unix:/run/hew.sock", Scheme::Unix, "unix:/run/hew.sock"),
            ("unix:///run/hew.sock", Scheme::Unix, "unix:/run/hew.sock"),
            ("unix:////run//hew.sock", Scheme::Unix, "unix:/run//hew.sock"),
            ("unix:/with space/ü:1", Scheme::Unix, "unix:/with space/ü:1"),
            ("mem:n1", Scheme::Mem, "mem:n1"),
            ("mem:a:b/c", Scheme::Mem, "mem:a:b/c"),
        ] {
            let parsed = addr(text);
            assert_eq!((parsed.scheme(), parsed.to_string().as_str()), (scheme, written), "{text}");
            assert_eq!(addr(written), parsed, "{text}");
        }
    }

    #[test]
    fn bad_texts_and_why() {
        let long = format!("unix:/{}", "x".repeat(107));
        let long_label = format!("{}.example:1", "x".repeat(64));
        let long_name = format!("mem:{}", "x".repeat(256));
        for (text, reason) in [
            ("", Reason::Empty),
            ("localhost", Reason::MissingPort),
            ("9000", Reason::MissingPort),
            ("localhost:", Reason::MissingPort),
            ("tcp://localhost", Reason::MissingPort),
            ("[::1]", Reason::MissingPort),
            ("[::1]9000", Reason::MissingPort),
            ("localhost:http", Reason::InvalidPort("http".into())),
            ("localhost:-1", Reason::InvalidPort("-1".into())),
            ("localhost:+1", Reason::InvalidPort("+1".into())),
            ("localhost:1/x", Reason::InvalidPort("1/x".into())),
            ("localhost:65536", Reason::PortOutOfRange("65536".into())),
            ("localhost:99999999999999999999", Reason::PortOutOfRange("99999999999999999999".into())),
            (":9000", Reason::EmptyHost),
            ("tcp://:9000", Reason::EmptyHost),
            ("tcp://", Reason::EmptyHost),
            ("::1:9000", Reason::MissingBrackets),
            ("[::1:9000", Reason::InvalidIpv6("::1:9000".into())),
            ("[::g]:9000", Reason::InvalidIpv6("::g".into())),
            ("[127.0.0.1]:9000", Reason::InvalidIpv6("127.0.0.1".into())),
            ("127.1:9000", Reason::InvalidIpv4("127.1".into())),
            ("256.0.0.1:9000", Reason::InvalidIpv4("256.0.0.1".into())),
            ("0x7f000001:9000", Reason::InvalidIpv4("0x7f000001".into())),
            ("2130706433:9000", Reason::InvalidIpv4("2130706433".into())),
            ("http://localhost:80", Reason::UnknownScheme("http".into())),
            ("file:/x", Reason::UnknownScheme("file".into())),
            ("unix:", Reason::RelativePath),
            ("unix:run/x", Reason::RelativePath),
            ("unix://run/x", Reason::RelativePath),
            (long.as_str(), Reason::PathTooLong(108)),
            ("unix:/a\0b", Reason::Control('\0')),
            ("mem:a\nb", Reason::Control('\n')),
            ("host\u{1b}[2J:1", Reason::Control('\u{1b}')),
            ("mem:", Reason::EmptyName),
            ("mem:a b", Reason::WhitespaceInName),
            (long_name.as_str(), Reason::NameTooLong(256)),
            ("a..b:1", Reason::InvalidHost("a part between two dots is empty")),
            (".:1", Reason::InvalidHost("a part between two dots is empty")),
            ("-a:1", Reason::InvalidHost("a part between two dots neither begins nor ends with '-'")),
            ("user@host:1", Reason::InvalidHost("a host name has letters, digits, '-', '_' and '.' only")),
            ("a b:1", Reason::InvalidHost("a host name has letters, digits, '-', '_' and '.' only")),
            ("ü.example:1", Reason::InvalidHost("write a name outside ASCII in its xn-- form")),
            (long_label.as_str(), Reason::InvalidHost("a part between two dots has at most 63 bytes")),
        ] {
            let error = text.parse::<Addr>().expect_err(text);
            assert_eq!(error.reason, reason, "{text:?}");
            assert!(error.to_string().contains(&reason.to_string()), "{error}");
            assert!(error.to_string().contains(&format!("{text:?}")[..text.len().min(100)]), "{error}");
        }
    }

    #[test]
    fn limits_are_reached() {
        assert!(addr(&format!("unix:/{}", "x".repeat(106))).unix_path().is_some());
        assert!(addr(&format!("mem:{}", "x".repeat(255))).mem_name().is_some());
        let label = "x".repeat(63);
        let host = format!("{label}.{label}.{label}.{}", "x".repeat(61));
        assert_eq!(host.len(), HOST_BYTES_MAX);
        assert_eq!(addr(&format!("{host}:1")).host_name(), Some(host.as_str()));
        assert!(format!("{host}x:1").parse::<Addr>().is_err());
    }

    #[test]
    fn an_error_quotes_a_bounded_part() {
        let error = "x".repeat(10_000).parse::<Addr>().unwrap_err();
        assert!(error.to_string().len() < 300);
    }
}
