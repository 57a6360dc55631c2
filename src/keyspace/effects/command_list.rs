//! A list of commands in three buffers that are reused: no allocation a command.

/// Commands with their arguments, in order.
#[derive(Default)]
pub struct CommandList {
    /// The arguments, one after the other.
    bytes: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    /// How many of them there are up to the end of each command.
    commands: Vec<usize>,
}

impl CommandList {
    /// Bytes of arguments that are kept room for.
    const BYTES_KEPT_MAX: usize = 64 << 10;

    /// Adds a command.
    pub fn push(&mut self, argv: &[&[u8]]) {
        for argument in argv {
            self.bytes.extend_from_slice(argument);
            self.ends.push(self.bytes.len());
        }
        self.commands.push(self.ends.len());
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// The commands, each as its arguments.
    pub fn iter(
        &self,
    ) -> impl ExactSizeIterator<Item = impl ExactSizeIterator<Item = &[u8]> + Clone> {
        self.commands.iter().enumerate().map(|(n, &to)| {
            let from = if n == 0 { 0 } else { self.commands[n - 1] };
            (from..to).map(|i| {
                let start = if i == 0 { 0 } else { self.ends[i - 1] };
                &self.bytes[start..self.ends[i]]
            })
        })
    }

    /// Takes all commands out; a large buffer is not kept.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(Self::BYTES_KEPT_MAX);
        self.ends.clear();
        self.ends
            .shrink_to(Self::BYTES_KEPT_MAX / size_of::<usize>());
        self.commands.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::CommandList;

    #[test]
    fn what_went_in_comes_out() {
        let mut list = CommandList::default();
        assert!(list.is_empty());
        let given: [&[&[u8]]; 3] = [
            &[b"SET", b"k", b""],
            &[b"DEL"],
            &[b"SREM", b"s", b"a", b"b"],
        ];
        for argv in given {
            list.push(argv);
        }
        let read: Vec<Vec<&[u8]>> = list.iter().map(|argv| argv.collect()).collect();
        assert_eq!(read, given);
        list.clear();
        assert!(list.is_empty());
        assert_eq!(list.iter().len(), 0);
    }
}
