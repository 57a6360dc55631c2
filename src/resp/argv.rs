//! The arguments of a request: spans of the buffer they arrived in, or copies that outlive it.
//!
//! Borrowed or owned, they are read the same way, as an [`Argv`]. Cutting them from a buffer is
//! `request`'s part.

use std::ops::{Index, Range};

/// Where an argument lies in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: usize,
    len: usize,
}

impl Span {
    /// The bytes from `start` on, `len` of them.
    pub fn new(start: usize, len: usize) -> Span {
        Span { start, len }
    }

    /// The bytes as a range of the buffer.
    pub fn range(self) -> Range<usize> {
        self.start..self.start + self.len
    }
}

/// The arguments of one request, the command's name first.
#[derive(Clone, Copy)]
pub struct Argv<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Argv<'a> {
    /// The arguments that `spans` cuts from `bytes`.
    pub fn new(bytes: &'a [u8], spans: &'a [Span]) -> Argv<'a> {
        Argv { bytes, spans }
    }

    /// How many arguments there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The argument at `index`, if there are that many.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.spans.get(index).map(|span| &self.bytes[span.range()])
    }

    /// The argument at `index`, which the caller knows to exist.
    #[inline]
    pub fn at(&self, index: usize) -> &'a [u8] {
        &self.bytes[self.spans[index].range()]
    }

    /// The arguments without the first `n`; none if there are no more than `n`.
    #[inline]
    pub fn tail(&self, n: usize) -> Argv<'a> {
        Argv {
            bytes: self.bytes,
            spans: self.spans.get(n..).unwrap_or_default(),
        }
    }

    /// The arguments from `from` to before `to`, which the caller knows to exist.
    #[inline]
    pub fn slice(&self, from: usize, to: usize) -> Argv<'a> {
        Argv {
            bytes: self.bytes,
            spans: &self.spans[from..to],
        }
    }

    /// The arguments in order.
    #[inline]
    pub fn iter(
        &self,
    ) -> impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator + Clone + use<'a> {
        let bytes = self.bytes;
        self.spans.iter().map(move |span| &bytes[span.range()])
    }
}

impl Index<usize> for Argv<'_> {
    type Output = [u8];

    #[inline]
    fn index(&self, index: usize) -> &[u8] {
        self.at(index)
    }
}

impl std::fmt::Debug for Argv<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(
                self.iter()
                    .map(|argument| argument.escape_ascii().to_string()),
            )
            .finish()
    }
}

/// Arguments that outlive the buffer they came in: one allocation for the bytes, one for the spans.
#[derive(Clone)]
pub struct OwnedArgv {
    bytes: Box<[u8]>,
    spans: Box<[Span]>,
}

impl OwnedArgv {
    /// The arguments `slices`, copied.
    pub fn from_slices(slices: &[&[u8]]) -> OwnedArgv {
        OwnedArgv::copy(slices.iter().copied())
    }

    /// The arguments, borrowed.
    #[inline]
    pub fn as_argv(&self) -> Argv<'_> {
        Argv {
            bytes: &self.bytes,
            spans: &self.spans,
        }
    }

    /// The heap bytes it holds.
    pub fn heap_bytes(&self) -> usize {
        self.bytes.len() + size_of_val(&*self.spans)
    }

    fn copy<'a>(arguments: impl ExactSizeIterator<Item = &'a [u8]> + Clone) -> OwnedArgv {
        let mut bytes = Vec::with_capacity(arguments.clone().map(<[u8]>::len).sum());
        let mut spans = Vec::with_capacity(arguments.len());
        for argument in arguments {
            spans.push(Span {
                start: bytes.len(),
                len: argument.len(),
            });
            bytes.extend_from_slice(argument);
        }
        OwnedArgv {
            bytes: bytes.into_boxed_slice(),
            spans: spans.into_boxed_slice(),
        }
    }
}

impl From<Argv<'_>> for OwnedArgv {
    fn from(argv: Argv<'_>) -> OwnedArgv {
        OwnedArgv::copy(argv.iter())
    }
}

impl std::fmt::Debug for OwnedArgv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_argv().fmt(f)
    }
}
