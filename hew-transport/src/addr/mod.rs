//! Addresses: where a transport listens and what it connects to, as text and as a value.

mod parse;

pub use parse::{InvalidAddr, InvalidAddrReason};

use parse::{parse, parse_checked, parse_mem, parse_tcp, parse_unix, quote};
use std::fmt;
use std::net::{SocketAddr, SocketAddrV6};
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
    use proptest::prelude::*;
    use std::net::IpAddr;

    fn addr(text: &str) -> Addr {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
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
