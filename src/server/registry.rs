//! The commands of a running server: lookup by name, renames, and what is counted for each.

use crate::resp::request::Argv;
use crate::server::command::{Begin, Command, Container, Find, RUNS_SCRIPTS};
use crate::server::histogram::Histogram;

/// A command's number in the registry.
pub type CommandId = u16;

/// What is counted for a command.
#[derive(Default)]
pub struct CommandStats {
    /// Times it ran.
    pub calls: u64,
    /// The time that took, in nanoseconds.
    pub nanoseconds: u64,
    /// Times it was refused before it ran.
    pub rejected: u64,
    /// Times it ran and answered with an error.
    pub failed: u64,
    /// How long it took, once it ran for the first time.
    pub latency: Option<Box<Histogram>>,
}

/// A command with its place in the registry.
pub struct Registered {
    /// Its entry.
    pub command: &'static Command,
    /// The container of a subcommand.
    pub parent: Option<CommandId>,
    /// `get`, or `config|get`.
    pub full_name: String,
    /// Where its keys are.
    pub keys: KeyArguments,
    /// Whether it runs scripts, or may.
    pub runs_scripts: bool,
    /// The numbers of its subcommands.
    pub subcommands: Vec<CommandId>,
    /// What is counted for it.
    pub stats: CommandStats,
}

/// Where keys are among a command's arguments, as far as that shows at a glance: it is asked ahead of the request,
/// to fetch what they lead to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyArguments {
    /// The first one; 0 if none is known.
    pub first: usize,
    /// From one to the next.
    pub step: usize,
    end: KeysEnd,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum KeysEnd {
    /// With this argument, counted from the end if it is negative.
    At(i32),
    /// After as many as this argument says.
    Counted(usize),
}

impl KeyArguments {
    fn of(command: &Command) -> KeyArguments {
        let (first, last, step) = command.legacy_range();
        let range = KeyArguments {
            first: first as usize,
            step: step.max(1) as usize,
            end: KeysEnd::At(last),
        };
        if first > 0 {
            return range;
        }
        let counted = command
            .keys
            .iter()
            .find_map(|spec| match (spec.begin, spec.find) {
                (Begin::Index(at), Find::KeyNum { index, first, step }) => Some(KeyArguments {
                    first: (at + first) as usize,
                    step: step.max(1) as usize,
                    end: KeysEnd::Counted((at + index) as usize),
                }),
                _ => None,
            });
        counted.unwrap_or(range)
    }

    /// The argument behind the last one.
    #[inline]
    pub fn end(&self, argv: Argv<'_>) -> usize {
        let last = match self.end {
            KeysEnd::At(last) if last < 0 => argv.len() as i32 + last,
            KeysEnd::At(last) => last,
            KeysEnd::Counted(index) => {
                // Two digits are enough for what is worth fetching.
                let count = match argv.get(index) {
                    Some(&[ones @ b'0'..=b'9']) => ones - b'0',
                    Some(&[tens @ b'0'..=b'9', ones @ b'0'..=b'9']) => {
                        (tens - b'0') * 10 + (ones - b'0')
                    }
                    _ => 0,
                };
                return argv.len().min(self.first + usize::from(count) * self.step);
            }
        };
        argv.len().min((last + 1).max(0) as usize)
    }
}

/// The table of commands.
pub struct Registry {
    all: Vec<Registered>,
    /// Open addressing by the first eight bytes of the name.
    slots: Vec<Slot>,
    /// Names that a configuration gave, and the commands that answer to them; longer ones than a
    /// slot can tell apart are compared there.
    names: Vec<(Box<[u8]>, CommandId)>,
}

#[derive(Clone, Copy)]
struct Slot {
    /// The first eight bytes of the name with bit 0x20 set in each.
    folded: u64,
    /// The same bytes in lower and in upper case.
    lower: u64,
    upper: u64,
    /// The index into `names`, or [`EMPTY`].
    name: u16,
}

const FREE: Slot = Slot {
    folded: 0,
    lower: 0,
    upper: 0,
    name: EMPTY,
};

const EMPTY: u16 = u16::MAX;
const SLOTS: usize = 1 << 11;

impl Registry {
    /// Registers the families' tables.
    pub fn new(families: &[&'static [Command]]) -> Registry {
        let mut registry = Registry {
            all: Vec::new(),
            slots: vec![FREE; SLOTS],
            names: Vec::new(),
        };
        for command in families.iter().copied().flatten() {
            let id = registry.add(command, None);
            registry.bind(command.name.as_bytes(), id);
            for sub in command.subcommands {
                let sub_id = registry.add(sub, Some(id));
                registry.all[id as usize].subcommands.push(sub_id);
            }
        }
        registry
    }

    fn add(&mut self, command: &'static Command, parent: Option<CommandId>) -> CommandId {
        let id = self.all.len() as CommandId;
        let full_name = match parent {
            Some(parent) => format!(
                "{}|{}",
                self.all[parent as usize].command.name, command.name
            ),
            None => command.name.to_string(),
        };
        self.all.push(Registered {
            command,
            parent,
            full_name,
            keys: KeyArguments::of(command),
            // DEBUG LOADAOF runs all that a file has.
            runs_scripts: command.flags & RUNS_SCRIPTS != 0 || command.name == "debug",
            subcommands: Vec::new(),
            stats: CommandStats::default(),
        });
        id
    }

    fn bind(&mut self, name: &[u8], id: CommandId) {
        let index = self.names.len() as u16;
        self.names.push((name.to_ascii_lowercase().into(), id));
        self.place(index);
    }

    fn place(&mut self, index: u16) {
        let name = &self.names[index as usize].0;
        let (lower, upper) = (head(name), head(&name.to_ascii_uppercase()));
        let folded = fold(lower);
        let mut at = slot_of(folded);
        while self.slots[at].name != EMPTY {
            at = (at + 1) % SLOTS;
        }
        self.slots[at] = Slot {
            folded,
            lower,
            upper,
            name: index,
        };
    }

    /// Gives a command another name; none at all if `new` is empty. Fails if `old` is unknown or
    /// `new` is taken.
    pub fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), &'static str> {
        let id = self
            .lookup(old)
            .ok_or("No such command in rename-command")?;
        if !new.is_empty() && self.lookup(new).is_some() {
            return Err("Target command name already exists");
        }
        let old = old.to_ascii_lowercase();
        self.names.retain(|(name, _)| **name != *old);
        if !new.is_empty() {
            self.names.push((new.to_ascii_lowercase().into(), id));
        }
        self.slots.fill(FREE);
        (0..self.names.len() as u16).for_each(|i| self.place(i));
        Ok(())
    }

    /// The command that answers to a name, in any case.
    #[inline]
    pub fn lookup(&self, name: &[u8]) -> Option<CommandId> {
        let given = head(name);
        let folded = fold(given);
        let mut at = slot_of(folded);
        loop {
            let slot = &self.slots[at];
            if slot.name == EMPTY {
                return None;
            }
            if slot.folded == folded {
                let (known, id) = &self.names[slot.name as usize];
                let whole = name.len() <= 8 && (given == slot.lower || given == slot.upper);
                if known.len() == name.len() && (whole || known.eq_ignore_ascii_case(name)) {
                    return Some(*id);
                }
            }
            at = (at + 1) % SLOTS;
        }
    }

    /// The subcommand of a container that answers to a name, in any case.
    pub fn lookup_sub(&self, container: CommandId, name: &[u8]) -> Option<CommandId> {
        let subcommands = &self.get(container).subcommands;
        subcommands.iter().copied().find(|&id| {
            self.get(id)
                .command
                .name
                .as_bytes()
                .eq_ignore_ascii_case(name)
        })
    }

    /// The command of a name such as `get` or `config|get`, in any case.
    pub fn by_full_name(&self, name: &[u8]) -> Option<CommandId> {
        match memchr::memchr(b'|', name) {
            None => self.lookup(name),
            Some(end) => self.lookup_sub(self.lookup(&name[..end])?, &name[end + 1..]),
        }
    }

    /// A registered command.
    #[inline]
    pub fn get(&self, id: CommandId) -> &Registered {
        &self.all[id as usize]
    }

    /// What is counted for a command.
    #[inline]
    pub fn stats_mut(&mut self, id: CommandId) -> &mut CommandStats {
        &mut self.all[id as usize].stats
    }

    /// All commands and subcommands, in the order of registration.
    pub fn iter(&self) -> impl Iterator<Item = &Registered> {
        self.all.iter()
    }

    /// The numbers and names of the top-level commands that can be called.
    pub fn bound(&self) -> impl Iterator<Item = (CommandId, &[u8])> {
        self.names.iter().map(|(name, id)| (*id, &**name))
    }

    /// Counts from zero again.
    pub fn reset_stats(&mut self) {
        for registered in &mut self.all {
            registered.stats = CommandStats::default();
        }
    }

    /// The command that `name` and, for a container, `sub` lead to.
    #[inline]
    pub fn resolve(&self, name: &[u8], sub: Option<&[u8]>) -> Resolved {
        let Some(id) = self.lookup(name) else {
            return Resolved::Unknown;
        };
        let registered = self.get(id);
        if registered.subcommands.is_empty() {
            return Resolved::Found(id);
        }
        match sub {
            None if matches!(registered.command.handler, Container) => Resolved::Bare(id),
            None => Resolved::Found(id),
            Some(sub) => self
                .lookup_sub(id, sub)
                .map_or(Resolved::UnknownSub(id), Resolved::Found),
        }
    }
}

/// What a request's first words lead to.
#[derive(Clone, Copy)]
pub enum Resolved {
    /// A command or subcommand.
    Found(CommandId),
    /// A container without a subcommand.
    Bare(CommandId),
    /// A container with a subcommand that it does not have.
    UnknownSub(CommandId),
    /// Nothing.
    Unknown,
}

/// The first eight bytes of a name, zeros where it is shorter.
#[inline]
fn head(name: &[u8]) -> u64 {
    if let Some(head) = name.first_chunk::<8>() {
        u64::from_le_bytes(*head)
    } else if let (Some(head), Some(tail)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        let (head, tail) = (
            u32::from_le_bytes(*head) as u64,
            u32::from_le_bytes(*tail) as u64,
        );
        head | tail << (8 * (name.len() - 4))
    } else {
        name.iter().rev().fold(0, |bits, &b| bits << 8 | b as u64)
    }
}

/// Makes letters of either case equal (and a few other bytes, which a lookup sorts out).
#[inline]
fn fold(head: u64) -> u64 {
    head | 0x2020_2020_2020_2020
}

#[inline]
fn slot_of(folded: u64) -> usize {
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SLOTS.trailing_zeros())) as usize
}
