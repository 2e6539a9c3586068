//! Addresses: where a transport listens and what it connects to, as text and as a value.

use std::fmt;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

/// Longest path of a Unix socket, in bytes: `sun_path` holds 108 with the closing NUL.
pub const UNIX_PATH_BYTES_MAX: usize = 107;
/// Longest name of an in-memory address, in bytes of UTF-8.
pub const MEM_NAME_BYTES_MAX: usize = 255;
/// Longest host name, in bytes (RFC 1035).
pub const HOST_BYTES_MAX: usize = 253;
/// Longest label of a host name, in bytes (RFC 1035).
pub const HOST_LABEL_BYTES_MAX: usize = 63;

/// How much of a refused text an error quotes, in characters.
const QUOTE_CHARS_MAX: usize = 160;

/// Where to listen or what to connect to.
///
/// | text | meaning |
/// |---|---|
/// | `10.0.0.1:9000`, `[::1]:9000`, `db.example:9000` | TCP |
/// | `tcp://10.0.0.1:9000` | the same, with its scheme |
/// | `unix:/run/hew.sock`, `unix:///run/hew.sock` | a Unix socket; the path is absolute |
/// | `mem:n1` | an endpoint of an in-memory network |
///
/// The text of an address reads back as an equal address. TCP is written without its scheme, except where the host
/// itself is called `unix` or `mem`. Host names are compared in lower case. Port 0 means "any free port" to a
/// listener. Cheap to clone.
///
/// ```
/// use hew_transport::{Addr, Scheme};
///
/// let addr: Addr = "tcp://Example.org:9000".parse()?;
/// assert_eq!((addr.scheme(), addr.to_string().as_str()), (Scheme::Tcp, "example.org:9000"));
/// assert!("9000".parse::<Addr>().is_err());
/// # Ok::<(), hew_transport::InvalidAddr>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Addr(Repr);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Repr {
    /// A literal IP address. The flow label of IPv6 is always 0, because text does not carry it.
    Ip(SocketAddr),
    Host {
        name: Arc<str>,
        port: u16,
    },
    Unix(Arc<str>),
    Mem(Arc<str>),
}

/// Which kind of transport an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// `tcp://`, or no scheme at all.
    Tcp,
    /// `unix:`.
    Unix,
    /// `mem:`.
    Mem,
}

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

impl Addr {
    /// The TCP address of `host` (a name, an IPv4 or an IPv6 address, with or without brackets) and `port`.
    ///
    /// # Errors
    /// [`InvalidAddr`] if `host` is none of these.
    pub fn tcp(host: &str, port: u16) -> Result<Addr, InvalidAddr> {
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let text = if bare.contains(':') { format!("[{bare}]:{port}") } else { format!("{host}:{port}") };
        parse_checked(&text, parse_tcp)
    }

    /// The address of the Unix socket at `path`, which is absolute and UTF-8.
    ///
    /// # Errors
    /// [`InvalidAddr`] if `path` is relative, longer than [`UNIX_PATH_BYTES_MAX`], not UTF-8 or has control characters.
    pub fn unix(path: impl AsRef<Path>) -> Result<Addr, InvalidAddr> {
        let path = path.as_ref();
        let text = path.to_str().ok_or_else(|| InvalidAddr {
            text: quote(&path.to_string_lossy()),
            reason: InvalidAddrReason::PathNotUtf8,
        })?;
        parse_checked(text, parse_unix)
    }

    /// The address of the endpoint `name` in an in-memory network.
    ///
    /// # Errors
    /// [`InvalidAddr`] if `name` is empty, longer than [`MEM_NAME_BYTES_MAX`], or has white space or control characters.
    pub fn mem(name: &str) -> Result<Addr, InvalidAddr> {
        parse_checked(name, parse_mem)
    }

    /// Which kind of transport this address belongs to.
    pub fn scheme(&self) -> Scheme {
        match self.0 {
            Repr::Ip(_) | Repr::Host { .. } => Scheme::Tcp,
            Repr::Unix(_) => Scheme::Unix,
            Repr::Mem(_) => Scheme::Mem,
        }
    }

    /// Whether bytes to this address cannot leave the machine: Unix and in-memory addresses, literal loopback IP
    /// addresses, and the host name `localhost`. Any other host name counts as remote, wherever it resolves to.
    pub fn is_loopback_or_local(&self) -> bool {
        match &self.0 {
            Repr::Ip(ip) => ip.ip().to_canonical().is_loopback(),
            Repr::Host { name, .. } => &**name == "localhost",
            Repr::Unix(_) | Repr::Mem(_) => true,
        }
    }

    /// Whether this is `0.0.0.0` or `[::]`: good to listen on, but nothing that another machine could connect to.
    pub fn is_unspecified(&self) -> bool {
        matches!(&self.0, Repr::Ip(ip) if ip.ip().to_canonical().is_unspecified())
    }

    /// The host of a TCP address, without brackets.
    pub fn host(&self) -> Option<String> {
        match &self.0 {
            Repr::Ip(ip) => Some(ip.ip().to_string()),
            Repr::Host { name, .. } => Some(name.to_string()),
            Repr::Unix(_) | Repr::Mem(_) => None,
        }
    }

    /// The port of a TCP address.
    pub fn port(&self) -> Option<u16> {
        match &self.0 {
            Repr::Ip(ip) => Some(ip.port()),
            Repr::Host { port, .. } => Some(*port),
            Repr::Unix(_) | Repr::Mem(_) => None,
        }
    }

    /// The same address with another port; an address that has no port stays as it is.
    #[must_use]
    pub fn with_port(&self, port: u16) -> Addr {
        match &self.0 {
            Repr::Ip(ip) => {
                let mut ip = *ip;
                ip.set_port(port);
                Addr(Repr::Ip(ip))
            }
            Repr::Host { name, .. } => Addr(Repr::Host { name: name.clone(), port }),
            Repr::Unix(_) | Repr::Mem(_) => self.clone(),
        }
    }

    /// The IP address and port, where the host is a literal IP address.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match &self.0 {
            Repr::Ip(ip) => Some(*ip),
            Repr::Host { .. } | Repr::Unix(_) | Repr::Mem(_) => None,
        }
    }

    /// The host name, where the host is a name that has to be resolved.
    pub fn host_name(&self) -> Option<&str> {
        match &self.0 {
            Repr::Host { name, .. } => Some(name),
            Repr::Ip(_) | Repr::Unix(_) | Repr::Mem(_) => None,
        }
    }

    /// The path of a Unix socket.
    pub fn unix_path(&self) -> Option<&Path> {
        match &self.0 {
            Repr::Unix(path) => Some(Path::new(&**path)),
            Repr::Ip(_) | Repr::Host { .. } | Repr::Mem(_) => None,
        }
    }

    /// The name of an in-memory endpoint.
    pub fn mem_name(&self) -> Option<&str> {
        match &self.0 {
            Repr::Mem(name) => Some(name),
            Repr::Ip(_) | Repr::Host { .. } | Repr::Unix(_) => None,
        }
    }
}

impl From<SocketAddr> for Addr {
    /// An IPv4 address mapped into IPv6 becomes the IPv4 address it stands for.
    fn from(addr: SocketAddr) -> Addr {
        Addr(Repr::Ip(canonical(addr)))
    }
}

impl FromStr for Addr {
    type Err = InvalidAddr;

    fn from_str(text: &str) -> Result<Addr, InvalidAddr> {
        parse_checked(text, parse)
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Ip(ip) => write!(f, "{ip}"),
            // Without the scheme these two would read back as another kind of address.
            Repr::Host { name, port } if matches!(&**name, "unix" | "mem") => {
                write!(f, "tcp://{name}:{port}")
            }
            Repr::Host { name, port } => write!(f, "{name}:{port}"),
            Repr::Unix(path) => write!(f, "unix:{path}"),
            Repr::Mem(name) => write!(f, "mem:{name}"),
        }
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scheme::Tcp => "tcp",
            Scheme::Unix => "unix",
            Scheme::Mem => "mem",
        })
    }
}

fn parse_checked(
    text: &str,
    parse: fn(&str) -> Result<Addr, InvalidAddrReason>,
) -> Result<Addr, InvalidAddr> {
    let checked = match text.chars().find(|c| c.is_control()) {
        Some(character) => Err(InvalidAddrReason::Control(character)),
        None => parse(text),
    };
    checked.map_err(|reason| InvalidAddr { text: quote(text), reason })
}

fn quote(text: &str) -> String {
    text.chars().take(QUOTE_CHARS_MAX).collect()
}

fn parse(text: &str) -> Result<Addr, InvalidAddrReason> {
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

fn parse_unix(path: &str) -> Result<Addr, InvalidAddrReason> {
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

fn parse_mem(name: &str) -> Result<Addr, InvalidAddrReason> {
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

fn parse_tcp(text: &str) -> Result<Addr, InvalidAddrReason> {
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

fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(_) => addr,
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(v4.into(), v6.port()),
            None => SocketAddr::V6(SocketAddrV6::new(*v6.ip(), v6.port(), 0, v6.scope_id())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use InvalidAddrReason as Reason;
    use proptest::prelude::*;

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

    #[test]
    fn constructors_check_like_the_parser() {
        assert_eq!(Addr::tcp("::1", 80).unwrap(), addr("[::1]:80"));
        assert_eq!(Addr::tcp("[::1]", 80).unwrap(), addr("[::1]:80"));
        assert_eq!(Addr::tcp("unix", 80).unwrap(), addr("tcp://unix:80"));
        assert_eq!(Addr::tcp("10.0.0.1", 80).unwrap(), addr("10.0.0.1:80"));
        assert_eq!(Addr::unix("/run/x").unwrap(), addr("unix:/run/x"));
        assert_eq!(Addr::mem("n1").unwrap(), addr("mem:n1"));
        assert!(Addr::tcp("a:b", 1).is_err() && Addr::tcp("", 1).is_err() && Addr::tcp("[a]", 1).is_err());
        assert!(Addr::unix("x").is_err() && Addr::mem("").is_err() && Addr::mem("a\0").is_err());
    }

    #[test]
    fn local_is_what_cannot_leave_the_machine() {
        for (text, local) in [
            ("127.0.0.1:1", true),
            ("127.9.9.9:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("localhost:1", true),
            ("LOCALHOST:1", true),
            ("unix:/x", true),
            ("mem:x", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("10.0.0.1:1", false),
            ("localhost.example:1", false),
            ("x.localhost:1", false),
            ("localhost.:1", false),
        ] {
            assert_eq!(addr(text).is_loopback_or_local(), local, "{text}");
        }
    }

    #[test]
    fn parts_of_an_address() {
        let ip = addr("[::1]:80");
        assert_eq!((ip.host().as_deref(), ip.port(), ip.host_name()), (Some("::1"), Some(80), None));
        assert_eq!(ip.with_port(81), addr("[::1]:81"));
        let name = addr("db.example:80");
        assert_eq!((name.host().as_deref(), name.socket_addr()), (Some("db.example"), None));
        assert_eq!(name.with_port(81), addr("db.example:81"));
        let unix = addr("unix:/x");
        assert_eq!((unix.host(), unix.port(), unix.with_port(1)), (None, None, unix.clone()));
        assert!(addr("0.0.0.0:1").is_unspecified() && addr("[::]:1").is_unspecified());
        assert!(!addr("127.0.0.1:1").is_unspecified() && !unix.is_unspecified());
    }

    fn any_addr() -> impl Strategy<Value = Addr> {
        prop_oneof![
            (any::<u32>(), any::<u16>())
                .prop_map(|(ip, port)| SocketAddr::new(IpAddr::V4(ip.into()), port).into()),
            (any::<u128>(), any::<u16>(), any::<u32>())
                .prop_map(
                    |(ip, port, zone)| SocketAddr::V6(SocketAddrV6::new(ip.into(), port, 7, zone)).into()
                ),
            (
                "(unix|mem|tcp|localhost|[a-zA-Z]([a-zA-Z0-9_]{0,20}[a-zA-Z])?(\\.[a-z]{1,9}){0,3}\\.?)",
                any::<u16>()
            )
                .prop_map(|(host, port)| Addr::tcp(&host, port).unwrap()),
            "/[^\\p{Cc}]{0,26}".prop_map(|path| Addr::unix(path).unwrap()),
            "[^\\p{Cc}\\s]{1,60}".prop_map(|name| Addr::mem(&name).unwrap()),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(addr in any_addr()) {
            prop_assert_eq!(addr.to_string().parse::<Addr>(), Ok(addr));
        }

        #[test]
        fn no_text_panics_and_what_is_accepted_reads_back(text in "\\PC{0,40}|[a-z0-9:/.\\[\\]%]{0,30}") {
            if let Ok(addr) = text.parse::<Addr>() {
                prop_assert_eq!(addr.to_string().parse::<Addr>(), Ok(addr));
            }
        }
    }
}
