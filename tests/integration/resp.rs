//! A client that speaks the protocol byte by byte: it sends what it is told and reads one reply at a
//! time, so that tests can break frames, pipelines and rules that a client library would not.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long a reply may take before the test fails.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// One reply, RESP2 or RESP3.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Simple(String),
    Error(String),
    Integer(i64),
    Double(f64),
    Boolean(bool),
    BigNumber(String),
    Bulk(Vec<u8>),
    /// Its three-letter format and its text.
    Verbatim(String, Vec<u8>),
    Array(Vec<Value>),
    Set(Vec<Value>),
    Push(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

impl Value {
    pub fn ok() -> Value {
        Value::Simple("OK".into())
    }

    pub fn bulk(bytes: impl AsRef<[u8]>) -> Value {
        Value::Bulk(bytes.as_ref().to_vec())
    }

    /// The text of any reply that is one string.
    pub fn text(&self) -> String {
        match self {
            Value::Simple(text) | Value::Error(text) | Value::BigNumber(text) => text.clone(),
            Value::Bulk(bytes) | Value::Verbatim(_, bytes) => {
                String::from_utf8_lossy(bytes).into_owned()
            }
            other => panic!("not a string: {other:?}"),
        }
    }

    pub fn items(&self) -> &[Value] {
        match self {
            Value::Array(items) | Value::Set(items) | Value::Push(items) => items,
            other => panic!("not an array: {other:?}"),
        }
    }

    pub fn is_error(&self) -> bool {
        matches!(self, Value::Error(_))
    }
}

/// A command as clients send it: an array of bulk strings.
pub fn frame<A: AsRef<[u8]>>(argv: &[A]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", argv.len()).into_bytes();
    for arg in argv {
        let arg = arg.as_ref();
        bytes.extend(format!("${}\r\n", arg.len()).into_bytes());
        bytes.extend_from_slice(arg);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Read for &Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => (&mut &*stream).read(buffer),
            Socket::Unix(stream) => (&mut &*stream).read(buffer),
        }
    }
}

impl Write for &Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => (&mut &*stream).write(bytes),
            Socket::Unix(stream) => (&mut &*stream).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

/// A connection whose reads fail after [`REPLY_TIMEOUT`].
pub struct Client {
    reader: BufReader<Socket>,
}

impl Client {
    pub fn tcp(address: &str) -> Client {
        let stream = TcpStream::connect(address)
            .unwrap_or_else(|error| panic!("connect to {address}: {error}"));
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(REPLY_TIMEOUT)).unwrap();
        stream.set_write_timeout(Some(REPLY_TIMEOUT)).unwrap();
        Client {
            reader: BufReader::new(Socket::Tcp(stream)),
        }
    }

    pub fn unix(path: &Path) -> Client {
        let stream = UnixStream::connect(path)
            .unwrap_or_else(|error| panic!("connect to {path:?}: {error}"));
        stream.set_read_timeout(Some(REPLY_TIMEOUT)).unwrap();
        stream.set_write_timeout(Some(REPLY_TIMEOUT)).unwrap();
        Client {
            reader: BufReader::new(Socket::Unix(stream)),
        }
    }

    /// Sends raw bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the server takes what is sent");
    }

    /// Sends raw bytes to a server that may have closed the connection.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.reader.get_ref().write_all(bytes.as_ref())
    }

    /// Tells the server that nothing more will be sent.
    pub fn finish_sending(&mut self) {
        match self.reader.get_ref() {
            Socket::Tcp(stream) => stream.shutdown(Shutdown::Write).unwrap(),
            Socket::Unix(stream) => stream.shutdown(Shutdown::Write).unwrap(),
        }
    }

    /// Sends one command and reads its reply.
    pub fn command<A: AsRef<[u8]>>(&mut self, argv: &[A]) -> Value {
        self.send(frame(argv));
        self.read()
    }

    /// Sends one command given as words and reads its reply.
    pub fn run(&mut self, words: &str) -> Value {
        self.command(&words.split_whitespace().collect::<Vec<_>>())
    }

    /// Reads one reply.
    pub fn read(&mut self) -> Value {
        self.try_read().expect("a reply")
    }

    /// Reads one reply from a server that may have closed the connection.
    pub fn try_read(&mut self) -> io::Result<Value> {
        let line = self.read_line()?;
        let (kind, rest) = line.split_at(1);
        Ok(match kind {
            "+" => Value::Simple(rest.into()),
            "-" => Value::Error(rest.into()),
            ":" => Value::Integer(number(rest)?),
            "_" => Value::Null,
            "#" => Value::Boolean(rest == "t"),
            "," => Value::Double(rest.parse().map_err(|_| malformed(&line))?),
            "(" => Value::BigNumber(rest.into()),
            "$" if rest == "-1" => Value::Null,
            "*" if rest == "-1" => Value::Null,
            "$" => Value::Bulk(self.read_payload(number(rest)? as usize)?),
            "=" => {
                let payload = self.read_payload(number(rest)? as usize)?;
                Value::Verbatim(
                    String::from_utf8_lossy(&payload[..3]).into(),
                    payload[4..].to_vec(),
                )
            }
            "*" => Value::Array(self.read_items(number(rest)?)?),
            "~" => Value::Set(self.read_items(number(rest)?)?),
            ">" => Value::Push(self.read_items(number(rest)?)?),
            "%" => {
                let items = self.read_items(2 * number(rest)?)?;
                Value::Map(
                    items
                        .chunks_exact(2)
                        .map(|pair| (pair[0].clone(), pair[1].clone()))
                        .collect(),
                )
            }
            _ => return Err(malformed(&line)),
        })
    }

    /// Reads exactly as many bytes as are expected, and compares them.
    #[track_caller]
    pub fn expect(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        let mut got = vec![0; expected.len()];
        let mut filled = 0;
        while filled < got.len() {
            match self.reader.read(&mut got[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) => panic!(
                    "{error} after {:?}, expecting {:?}",
                    String::from_utf8_lossy(&got[..filled]),
                    String::from_utf8_lossy(expected)
                ),
            }
        }
        assert_eq!(
            String::from_utf8_lossy(&got[..filled]),
            String::from_utf8_lossy(expected)
        );
    }

    /// Reads until the server closes the connection; what came before that is returned.
    #[track_caller]
    pub fn read_to_close(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.reader.read_to_end(&mut rest) {
            Ok(_) => rest,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => rest,
            Err(error) => panic!(
                "the connection stays open ({error}) after {:?}",
                String::from_utf8_lossy(&rest)
            ),
        }
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        match line.strip_suffix(b"\r\n") {
            Some(text) if !text.is_empty() => Ok(String::from_utf8_lossy(text).into_owned()),
            _ if line.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Err(malformed(&String::from_utf8_lossy(&line))),
        }
    }

    fn read_payload(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut payload = vec![0; length + 2];
        self.reader.read_exact(&mut payload)?;
        if !payload.ends_with(b"\r\n") {
            return Err(malformed("a bulk string that does not end where it said"));
        }
        payload.truncate(length);
        Ok(payload)
    }

    fn read_items(&mut self, count: i64) -> io::Result<Vec<Value>> {
        (0..count).map(|_| self.try_read()).collect()
    }
}

fn number(text: &str) -> io::Result<i64> {
    text.parse().map_err(|_| malformed(text))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("malformed reply: {what}"),
    )
}
