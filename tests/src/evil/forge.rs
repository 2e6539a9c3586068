//! Handshakes by hand: Noise through the library directly, and nothing of our own state machines.

use super::Heard;
use super::link::EvilLink;
use hew_security::PublicKey;
use hew_wire::{Extension, HELLO_BYTES, Hello, Incarnation, Name, NodeId, Role, feature, schema_hash};
use snow::{Builder, HandshakeState};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Longest wait for anything that should come, however much else comes before it; longer than the node's own deadlines.
pub const PATIENCE: Duration = Duration::from_secs(20);
const NOISE: &str = "Noise_XX_25519_ChaChaPoly_BLAKE2s";

/// A key pair whose secret half is at hand.
#[derive(Clone)]
pub struct Key {
    /// The secret half.
    pub secret: Vec<u8>,
    /// The public half.
    pub public: PublicKey,
}

impl Key {
    /// A fresh one.
    pub fn generate() -> Key {
        let pair = builder().generate_keypair().expect("the system gives randomness");
        let public = pair.public.try_into().expect("32 bytes");
        Key { secret: pair.private, public: PublicKey::new(public) }
    }
}

fn builder() -> Builder<'static> {
    Builder::new(NOISE.parse().expect("a name that the library knows"))
}

/// A hello without a flaw.
pub fn hello(node: u16, key: &PublicKey) -> [u8; HELLO_BYTES] {
    Hello {
        version: 1,
        node: NodeId::from_raw(node),
        schema: schema_hash(),
        features: feature::ENCRYPTED,
        public_key: *key.as_bytes(),
    }
    .encode()
}

/// An extension without a flaw.
pub fn extension(role: Role, incarnation: u64) -> Extension {
    Extension {
        incarnation: Incarnation(incarnation),
        node_name: None,
        cluster: Name::new("hew").expect("a name"),
        role,
        version_min: 1,
        version_max: 1,
        frame_bytes_max: 1 << 20,
        listen: None,
        session: 0,
        fresh: incarnation,
        received: 0,
        compression: 0,
    }
}

/// A change to the bytes of one message, its length in front included.
pub type Change = fn(&mut Vec<u8>);

/// Everything that the evil peer says in a handshake, on either side.
pub struct Script {
    /// Its hello.
    pub hello: [u8; HELLO_BYTES],
    /// A bit of it that somebody on the way flips: both sides take different hellos for the same.
    pub flipped: Option<usize>,
    /// What it thinks of the node's hello.
    pub verdict: Vec<u8>,
    /// The key that it uses in Noise.
    pub secret: Vec<u8>,
    /// The payload of its identity message.
    pub extension: Vec<u8>,
    /// What it does to message 1.
    pub message_1: Change,
    /// What it does to message 2 (as a listener).
    pub message_2: Change,
    /// What it does to message 3.
    pub message_3: Change,
    /// Sends a message 3 of the right length although message 2 did not open.
    pub bluff: bool,
}

impl Script {
    /// A handshake without a flaw.
    pub fn new(node: u16, key: &Key, extension: &Extension) -> Script {
        Script {
            hello: hello(node, &key.public),
            flipped: None,
            verdict: vec![0],
            secret: key.secret.clone(),
            extension: extension.encode(),
            message_1: |_| {},
            message_2: |_| {},
            message_3: |_| {},
            bluff: false,
        }
    }

    /// Dials a node and goes through the handshake; what it hears if it does not come through.
    pub fn dial(&self, address: SocketAddr) -> Result<EvilLink, Heard> {
        self.begin(address)?.send_message_3().finish()
    }

    /// Dials a node and goes through the handshake as far as message 2.
    pub fn begin(&self, address: SocketAddr) -> Result<Halfway, Heard> {
        let mut wire = Wire::connect(address);
        wire.send(&self.hello_on_the_way());
        let theirs = wire.read_hello()?;
        let mut noise = self.noise(&self.hello, &theirs, true);
        let mut bytes = self.verdict.clone();
        let mut message = framed(&mut noise, &[]);
        (self.message_1)(&mut message);
        bytes.extend_from_slice(&message);
        wire.send(&bytes);
        let message_2 = wire.read_framed()?;
        let mut payload = vec![0; 65_535];
        let (message, theirs) = match noise.read_message(&message_2, &mut payload) {
            Ok(length) => {
                let theirs = Extension::decode(&payload[..length]);
                (framed(&mut noise, &self.extension), Some(theirs.expect("the node's extension")))
            }
            Err(_) if self.bluff => {
                let length = 64 + self.extension.len();
                ([&(length as u16).to_be_bytes()[..], &vec![7; length]].concat(), None)
            }
            Err(error) => return Err(Heard::Odd(format!("message 2: {error}"))),
        };
        let mut message_3 = message;
        (self.message_3)(&mut message_3);
        Ok(Halfway { wire, noise, message_3, theirs })
    }

    /// Waits for a node that dials, and goes through the handshake as the listener.
    pub fn accept(&self, listener: &TcpListener) -> Result<EvilLink, Heard> {
        let mut wire = Wire::accept(listener);
        let theirs = wire.read_exact::<HELLO_BYTES>()?;
        wire.send(&[&[0][..], &self.hello_on_the_way()].concat());
        let verdict = wire.read_exact::<1>()?;
        if verdict != [0] {
            return Err(wire.read_reason(verdict[0], false));
        }
        let mut noise = self.noise(&theirs, &self.hello, false);
        let message_1 = wire.read_framed()?;
        noise.read_message(&message_1, &mut [0; 65_535]).expect("the node's message 1");
        let mut message = framed(&mut noise, &self.extension);
        (self.message_2)(&mut message);
        wire.send(&message);
        let message_3 = wire.read_framed()?;
        noise.read_message(&message_3, &mut [0; 65_535]).expect("the node's message 3");
        let session = noise.into_transport_mode().expect("the handshake is finished");
        let mut link = EvilLink::new(wire, session);
        // The last verdict, to be changed by the caller: what it does with the link comes instead.
        link.dialed_by_node = true;
        Ok(link)
    }

    /// Its hello as it arrives.
    fn hello_on_the_way(&self) -> [u8; HELLO_BYTES] {
        let mut hello = self.hello;
        if let Some(bit) = self.flipped {
            hello[bit / 8] ^= 1 << (bit % 8);
        }
        hello
    }

    fn noise(&self, dialer: &[u8], listener: &[u8], initiator: bool) -> HandshakeState {
        let mut prologue = b"hew/noise/1".to_vec();
        for hello in [dialer, listener] {
            prologue.extend_from_slice(&(HELLO_BYTES as u16).to_be_bytes());
            prologue.extend_from_slice(hello);
        }
        let builder = builder().prologue(&prologue).and_then(|b| b.local_private_key(&self.secret));
        let builder = builder.expect("set once");
        let built = if initiator { builder.build_initiator() } else { builder.build_responder() };
        built.expect("complete")
    }
}

/// A dialer's handshake before its message 3.
pub struct Halfway {
    wire: Wire,
    noise: HandshakeState,
    message_3: Vec<u8>,
    /// What the node has said about itself; `None` after a bluff.
    pub theirs: Option<Extension>,
}

impl Halfway {
    /// Sends message 3.
    pub fn send_message_3(mut self) -> Halfway {
        self.wire.send(&self.message_3);
        self
    }

    /// Waits for the node's last verdict.
    pub fn finish(mut self) -> Result<EvilLink, Heard> {
        if !self.noise.is_handshake_finished() {
            return Err(self.wire.fate());
        }
        let session = self.noise.into_transport_mode().expect("the handshake is finished");
        EvilLink::after_verdict(self.wire, session)
    }
}

/// The next message of a handshake, behind its length.
pub fn framed(noise: &mut HandshakeState, payload: &[u8]) -> Vec<u8> {
    let mut buffer = [0; 65_535];
    let length = noise.write_message(payload, &mut buffer).expect("it fits");
    [&(length as u16).to_be_bytes()[..], &buffer[..length]].concat()
}

/// A TCP connection on which nothing is awaited for longer than its patience, even if the node trickles.
pub struct Wire {
    /// At first [`PATIENCE`].
    pub patience: Duration,
    stream: TcpStream,
}

impl Wire {
    /// Dials.
    pub fn connect(address: SocketAddr) -> Wire {
        Wire::new(TcpStream::connect_timeout(&address, PATIENCE).expect("the node listens"))
    }

    /// Waits for a node that dials.
    ///
    /// # Panics
    /// If none does.
    pub fn accept(listener: &TcpListener) -> Wire {
        let until = Instant::now() + PATIENCE;
        listener.set_nonblocking(true).expect("a socket");
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).expect("a socket");
                    return Wire::new(stream);
                }
                Err(error) if is_patience(&error) && Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(error) => panic!("the node does not dial: {error}"),
            }
        }
    }

    /// Over an accepted connection.
    pub fn new(stream: TcpStream) -> Wire {
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        Wire { patience: PATIENCE, stream }
    }

    /// Sends; that the node has closed already shows when something is read.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Ends this direction.
    pub fn finish(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// Whether the node still takes bytes.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// When something that is awaited from now on must be there.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.patience
    }

    /// Exactly `N` bytes, or how the connection ended before.
    pub fn read_exact<const N: usize>(&mut self) -> Result<[u8; N], Heard> {
        self.read_array(self.deadline())
    }

    /// A message behind its length.
    pub fn read_framed(&mut self) -> Result<Vec<u8>, Heard> {
        self.read_framed_until(self.deadline())
    }

    /// As [`Wire::read_framed`], for a caller with a deadline of its own.
    pub fn read_framed_until(&mut self, until: Instant) -> Result<Vec<u8>, Heard> {
        let mut bytes = vec![0; usize::from(u16::from_be_bytes(self.read_array(until)?))];
        self.fill(&mut bytes, until)?;
        Ok(bytes)
    }

    /// The verdict on our hello, and the node's hello if it is 0.
    pub fn read_hello(&mut self) -> Result<[u8; HELLO_BYTES], Heard> {
        let [status] = self.read_exact()?;
        if status != 0 {
            return Err(self.read_reason(status, false));
        }
        self.read_exact()
    }

    /// The rest of a verdict, and that nothing follows it.
    pub fn read_reason(&mut self, status: u8, sealed: bool) -> Heard {
        let until = self.deadline();
        let read = self.read_array::<1>(until).and_then(|[length]| {
            let mut reason = vec![0; usize::from(length)];
            self.fill(&mut reason, until)?;
            Ok(String::from_utf8_lossy(&reason).into_owned())
        });
        match (read, self.fate()) {
            (Ok(reason), Heard::Closed) => Heard::Refused { status, reason, sealed },
            (Ok(_), after) => Heard::Odd(format!("after a verdict of {status}: {after}")),
            (Err(error), _) => Heard::Odd(format!("a verdict of {status}, then {error}")),
        }
    }

    /// Waits for the end, and says what came before it.
    pub fn fate(&mut self) -> Heard {
        let until = self.deadline();
        let mut rest = [0; 4096];
        let mut count = 0;
        loop {
            match self.read_some(&mut rest, until) {
                Ok(0) if count == 0 => return Heard::Closed,
                Ok(0) => return Heard::Odd(format!("{count} bytes, then closed")),
                Ok(more) => count += more,
                Err(error) if is_patience(&error) => {
                    return Heard::Odd(format!("still open after {:?} and {count} bytes", self.patience));
                }
                // A reset: the node closed with bytes of ours unread.
                Err(_) => return Heard::Closed,
            }
        }
    }

    fn read_array<const N: usize>(&mut self, until: Instant) -> Result<[u8; N], Heard> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, until)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8], until: Instant) -> Result<(), Heard> {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.read_some(&mut bytes[filled..], until) {
                Ok(count @ 1..) => filled += count,
                Err(error) if is_patience(&error) => {
                    return Err(Heard::Odd(format!("{filled} of {} bytes came in time", bytes.len())));
                }
                Ok(_) | Err(_) => return Err(Heard::Closed),
            }
        }
        Ok(())
    }

    /// One read, which fails with [`io::ErrorKind::TimedOut`] once the deadline has passed.
    fn read_some(&mut self, bytes: &mut [u8], until: Instant) -> io::Result<usize> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

fn is_patience(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
