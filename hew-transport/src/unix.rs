//! Unix sockets: between processes of one machine, guarded by the permissions of a file.

use crate::addr::{Addr, Scheme};
use crate::error::TransportError;
use crate::socket::{self, ACCEPT_BACKLOG, Acceptor, ReadHalf, WriteHalf};
use crate::transport::{Connection, Listener, Transport};
use async_io::{Async, Timer};
use async_trait::async_trait;
use futures_lite::FutureExt;
use futures_lite::io::{AsyncRead, AsyncWrite};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{self, Permissions};
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// How long to pause before a listener whose queue is full is dialled again: at first, and at most.
const RETRY_PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// Unix sockets (stream), at absolute paths.
///
/// The socket file is made with mode 0600, so that only processes of the same user can connect, and removed when the
/// listener is dropped. A file that a dead process left behind is replaced; one whose process answers, or that is not
/// a socket, is left alone. Processes that use this crate take turns at this by a lock on the directory.
#[derive(Clone, Debug)]
pub struct Unix {
    mode: u32,
    timeout: Duration,
}

/// A Unix socket that listens.
#[derive(Debug)]
pub struct UnixListener {
    /// First, because fields are dropped in order: while the socket lives, its inode cannot become another file's.
    _file: SocketFile,
    acceptor: Acceptor,
}

/// The half of a Unix connection that bytes are read from.
#[derive(Debug)]
pub struct UnixReader(ReadHalf);

/// The half of a Unix connection that bytes are written to.
#[derive(Debug)]
pub struct UnixWriter(WriteHalf);

/// The file of a socket; removed on drop if it is still the one that was made.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Unix {
    /// The permissions of a socket file, by default: the user may connect, nobody else.
    pub const MODE: u32 = 0o600;
    /// How long a listen or a connect takes at most, by default: 5 s.
    pub const TIMEOUT: Duration = Duration::from_secs(5);

    /// Unix sockets with the default settings.
    pub fn new() -> Unix {
        Unix { mode: Unix::MODE, timeout: Unix::TIMEOUT }
    }

    /// The permissions of the socket file, whatever the umask is: who may write may connect.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Unix {
        self.mode = mode & 0o777;
        self
    }

    /// How long a connect waits for room in the queue of a listener, and a listen for its turn in the directory.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Unix {
        self.timeout = timeout;
        self
    }

    async fn within<T>(
        &self,
        addr: &Addr,
        work: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<T, TransportError> {
        work.or(async {
            Timer::after(self.timeout).await;
            Err(TransportError::TimedOut { addr: addr.clone(), after: self.timeout })
        })
        .await
    }
}

impl Default for Unix {
    fn default() -> Unix {
        Unix::new()
    }
}

#[async_trait]
impl Transport for Unix {
    type Listener = UnixListener;
    type Reader = UnixReader;
    type Writer = UnixWriter;

    async fn listen(&self, addr: &Addr) -> Result<UnixListener, TransportError> {
        let path = path_of(addr)?.to_owned();
        let (mode, at) = (self.mode, addr.clone());
        // If this future is dropped first, so is what the thread returns: the file goes with it.
        let bound = blocking::unblock(move || bind(&at, &path, mode));
        let (file, socket) = self.within(addr, bound).await?;
        let socket = Async::new(socket).map_err(|error| TransportError::from_io(addr, "listen", error))?;
        Ok(UnixListener { _file: file, acceptor: Acceptor::new(socket, addr.clone()) })
    }

    async fn connect(&self, addr: &Addr) -> Result<Connection<UnixReader, UnixWriter>, TransportError> {
        let failed = |error| TransportError::from_io(addr, "connect", error);
        let remote = SockAddr::unix(path_of(addr)?).map_err(failed)?;
        let connected = async {
            let (mut pause, pause_max) = RETRY_PAUSES;
            loop {
                match socket::connect(Domain::UNIX, &remote).await {
                    Ok(socket) => return Ok(socket),
                    // A listener whose queue is full: unlike TCP, the kernel does not wait for room.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        return Err(TransportError::Refused { addr: addr.clone() });
                    }
                    Err(error) => return Err(failed(error)),
                }
                Timer::after(pause).await;
                pause = (pause * 2).min(pause_max);
            }
        };
        Ok(connection(self.within(addr, connected).await?, addr.clone()))
    }
}

#[async_trait]
impl Listener for UnixListener {
    type Reader = UnixReader;
    type Writer = UnixWriter;

    fn local_addr(&self) -> Addr {
        self.acceptor.addr().clone()
    }

    /// The peer of an accepted connection is the listener's own address, because diallers have none.
    async fn accept(&mut self) -> Result<Connection<UnixReader, UnixWriter>, TransportError> {
        let (socket, _) = self.acceptor.accept().await?;
        Ok(connection(socket, self.local_addr()))
    }
}

impl UnixReader {
    /// Reads what is there, without waiting; for a reader that looks a few times before it waits.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there, and what a read would report.
    pub fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl AsyncRead for UnixReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for UnixWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, buffers)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

impl SocketFile {
    fn made(path: &Path) -> io::Result<SocketFile> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(SocketFile { path: path.to_owned(), device: metadata.dev(), inode: metadata.ino() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let still_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == (self.device, self.inode));
        if still_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove a socket file");
        }
    }
}

fn connection(socket: Async<Socket>, peer: Addr) -> Connection<UnixReader, UnixWriter> {
    let (reader, writer) = socket::halves(socket);
    Connection { reader: UnixReader(reader), writer: UnixWriter(writer), peer }
}

fn path_of(addr: &Addr) -> Result<&Path, TransportError> {
    addr.unix_path().ok_or_else(|| TransportError::Unsupported { addr: addr.clone(), takes: Scheme::Unix })
}

/// Makes the socket and its file. May block.
fn bind(addr: &Addr, path: &Path, mode: u32) -> Result<(SocketFile, Socket), TransportError> {
    let failed = |error| TransportError::from_io(addr, "listen", error);
    let _turn = lock_directory(path).map_err(failed)?;
    remove_stale(addr, path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed)?;
    socket.bind(&SockAddr::unix(path).map_err(failed)?).map_err(failed)?;
    let file = SocketFile::made(path).map_err(failed)?;
    // Before `listen` nobody can connect, so that the umask never decides who gets in.
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)?;
    socket.listen(ACCEPT_BACKLOG).map_err(failed)?;
    Ok((file, socket))
}

/// Waits for the turn of this process in the directory of `path`: between a look at a stale file and its replacement,
/// no other may do the same. `None` where the directory cannot be opened: what comes next reports why, if it matters.
fn lock_directory(path: &Path) -> io::Result<Option<OwnedFd>> {
    let directory = path.parent().unwrap_or(path);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(directory) = rustix::fs::open(directory, flags, Mode::empty()) else {
        return Ok(None);
    };
    match rustix::io::retry_on_intr(|| rustix::fs::flock(&directory, FlockOperation::LockExclusive)) {
        // Some network file systems have no locks.
        Ok(()) | Err(Errno::NOTSUP | Errno::NOSYS | Errno::NOLCK | Errno::INVAL) => Ok(Some(directory)),
        Err(errno) => Err(errno.into()),
    }
}

/// Makes room at `path`: removes a socket nobody answers on, and refuses anything else that is there.
fn remove_stale(addr: &Addr, path: &Path) -> Result<(), TransportError> {
    let failed = |error| TransportError::from_io(addr, "listen", error);
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(TransportError::NotASocket { addr: addr.clone() });
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed)?;
    probe.set_nonblocking(true).map_err(failed)?;
    match probe.connect(&SockAddr::unix(path).map_err(failed)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            tracing::debug!(%addr, "replacing a socket file that nobody answers on");
            fs::remove_file(path).map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(failed(error)),
        // It answers, or its queue is full (WouldBlock), or it is a socket of another type that lives.
        Ok(()) | Err(_) => Err(TransportError::AddressInUse { addr: addr.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::block_on;
    use futures_lite::future::zip;
    use std::os::unix::net::{UnixDatagram, UnixListener as StdListener};
    use tempfile::TempDir;

    fn place() -> (TempDir, PathBuf, Addr) {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("s");
        let addr = Addr::unix(&path).unwrap();
        (directory, path, addr)
    }

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_file_has_the_mode_that_was_asked_for_and_goes_with_the_listener() {
        let (_directory, path, addr) = place();
        for (unix, mode) in [(Unix::new(), 0o600), (Unix::new().mode(0o666), 0o666)] {
            let listener = block_on(unix.listen(&addr)).unwrap();
            assert_eq!(mode_of(&path), mode);
            drop(listener);
            assert!(!path.exists());
        }
    }

    #[test]
    fn a_stale_file_is_replaced() {
        let (_directory, path, addr) = place();
        drop(StdListener::bind(&path).unwrap());
        assert!(path.exists(), "the standard library leaves it behind, as a crash does");
        block_on(async {
            assert!(Unix::new().connect(&addr).await.unwrap_err().is_refused());
            let mut listener = Unix::new().listen(&addr).await.unwrap();
            let (dialled, accepted) = zip(Unix::new().connect(&addr), listener.accept()).await;
            assert_eq!((dialled.unwrap().peer, accepted.unwrap().peer), (addr.clone(), addr.clone()));
        });
    }

    #[test]
    fn a_file_somebody_answers_on_is_left_alone() {
        let (_directory, path, addr) = place();
        let alive = StdListener::bind(&path).unwrap();
        let error = block_on(Unix::new().listen(&addr)).unwrap_err();
        assert!(matches!(error, TransportError::AddressInUse { .. }), "{error}");
        assert!(path.exists());
        drop(alive);
        fs::remove_file(&path).unwrap();

        let _datagram = UnixDatagram::bind(&path).unwrap();
        let error = block_on(Unix::new().listen(&addr)).unwrap_err();
        assert!(matches!(error, TransportError::AddressInUse { .. }), "{error}");
    }

    #[test]
    fn what_is_not_a_socket_is_left_alone() {
        let (_directory, path, addr) = place();
        fs::write(&path, "precious").unwrap();
        let error = block_on(Unix::new().listen(&addr)).unwrap_err();
        assert!(matches!(error, TransportError::NotASocket { .. }), "{error}");
        assert!(error.to_string().contains(&addr.to_string()), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        fs::remove_file(&path).unwrap();

        let target = path.with_file_name("target");
        let _alive = StdListener::bind(&target).unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        let error = block_on(Unix::new().listen(&addr)).unwrap_err();
        assert!(matches!(error, TransportError::NotASocket { .. }), "a link is not followed: {error}");
        assert!(target.exists());
    }

    #[test]
    fn a_file_that_another_made_since_is_not_removed() {
        let (_directory, path, addr) = place();
        let listener = block_on(Unix::new().listen(&addr)).unwrap();
        fs::remove_file(&path).unwrap();
        let _other = StdListener::bind(&path).unwrap();
        drop(listener);
        assert!(path.exists());
    }

    #[test]
    fn a_missing_directory_and_a_missing_file_are_told_apart() {
        let (_directory, path, addr) = place();
        let nowhere = Addr::unix(path.join("below/s")).unwrap();
        let error = block_on(Unix::new().listen(&nowhere)).unwrap_err();
        assert!(matches!(error, TransportError::Io { operation: "listen", .. }), "{error}");
        assert!(error.to_string().contains(&nowhere.to_string()), "{error}");
        assert!(block_on(Unix::new().connect(&addr)).unwrap_err().is_refused());
    }

    #[test]
    fn only_one_of_many_gets_a_stale_file() {
        let (_directory, path, addr) = place();
        drop(StdListener::bind(&path).unwrap());
        let results: Vec<_> = std::thread::scope(|scope| {
            let listen = || scope.spawn(|| block_on(Unix::new().listen(&addr)));
            let threads: Vec<_> = (0..8).map(|_| listen()).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        assert!(block_on(Unix::new().connect(&addr)).is_ok());
    }

    #[test]
    fn a_full_queue_makes_a_connect_wait_and_then_time_out() {
        let (_directory, path, addr) = place();
        let full = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        full.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        full.listen(0).unwrap();
        block_on(async {
            let _held = Unix::new().connect(&addr).await.unwrap();
            let patience = Duration::from_millis(50);
            let error = Unix::new().timeout(patience).connect(&addr).await.unwrap_err();
            assert!(matches!(error, TransportError::TimedOut { .. }), "{error}");
            let make_room = async { full.accept().unwrap() };
            let (connected, _accepted) = zip(Unix::new().connect(&addr), make_room).await;
            assert!(connected.is_ok());
        });
    }

    #[test]
    fn a_directory_that_somebody_keeps_locked_times_out_and_leaves_no_file() {
        let (directory, path, addr) = place();
        let lock = lock_directory(&path).unwrap();
        let error = block_on(Unix::new().timeout(Duration::from_millis(50)).listen(&addr)).unwrap_err();
        assert!(matches!(error, TransportError::TimedOut { .. }), "{error}");
        drop(lock);
        // The turn of the one that gave up comes first or later; either way it leaves the place free.
        let listener = loop {
            match block_on(Unix::new().listen(&addr)) {
                Ok(listener) => break listener,
                Err(error) => assert!(matches!(error, TransportError::AddressInUse { .. }), "{error}"),
            }
        };
        assert!(block_on(Unix::new().connect(&addr)).is_ok());
        drop((listener, directory));
    }
}
